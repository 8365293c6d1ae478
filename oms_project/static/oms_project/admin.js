// Countdowns on the front page, and a fresh page every half minute (or data-refresh seconds) while somebody looks at it.
(() => {
  const tick = () => {
    for (const cell of document.querySelectorAll("[data-until]")) {
      const left = Math.round((Date.parse(cell.dataset.until) - Date.now()) / 1000);
      cell.textContent = left > 0 ? `剩 ${left} 秒` : "已到时";
      cell.classList.toggle("is-late", left <= 15);
    }
  };
  document.addEventListener("DOMContentLoaded", () => {
    tick();
    setInterval(tick, 1000);
    const fresh = document.querySelector("[data-refresh]");
    if (fresh) {
      const seconds = Number(fresh.dataset.refresh) || 30;
      setInterval(() => { if (document.visibilityState === "visible") location.reload(); }, seconds * 1000);
    }
  });
})();
