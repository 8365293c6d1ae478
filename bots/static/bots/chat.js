"use strict";
// The demo group: polls for lines, speaks and presses as the chosen person.
const chat = JSON.parse(document.getElementById("chat").textContent);
const at = (id) => document.getElementById(id);
const lines = at("lines");
const shown = new Map(); // card key -> {box, json}
const POLL_MS = 1500;
let after = 0;
let me = null;
let busy = false;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function csrf() {
  const pair = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
  return pair ? pair.slice("csrftoken=".length) : "";
}

async function send(path, body) {
  const reply = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrf() },
    body: JSON.stringify({ room: chat.room, as: me.id, ...body }),
  });
  const answer = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(answer.detail || "没有成功，请刷新页面再试");
  return answer;
}

let toastTimer = 0;
function toast(text) {
  at("toast").textContent = text;
  at("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { at("toast").hidden = true; }, 2600);
}

function drawCard(box, key, card) {
  box.replaceChildren();
  box.className = card.buttons.length ? "card" : "card closed";
  box.append(make("h3", "", card.title));
  const list = make("dl");
  for (const [name, value] of card.rows) list.append(make("dt", "", name), make("dd", name === "收入" ? "money" : "", value));
  box.append(list);
  if (card.footer) box.append(make("p", "foot", card.footer));
  if (!card.buttons.length) return;
  const reasons = make("select");
  reasons.setAttribute("aria-label", "拒单原因");
  reasons.append(new Option("请选择", ""));
  for (const [id, label] of card.options) reasons.append(new Option(label, id));
  const why = make("label", "why", "拒单原因");
  why.append(reasons);
  const acts = make("div", "acts");
  for (const button of card.buttons) {
    const press = make("button", button.style, button.label);
    press.type = "button";
    press.dataset.testid = button.action;
    press.addEventListener("click", async () => {
      if (button.action === "decline" && !reasons.value) return toast("请先选择拒单原因");
      for (const one of acts.children) one.disabled = true;
      try {
        const answer = await send("press", { key, value: button.value, reason: button.action === "decline" ? reasons.value : "" });
        toast(answer.toast);
      } catch (error) {
        toast(error.message);
      }
      for (const one of acts.children) one.disabled = false;
      poll();
    });
    acts.append(press);
  }
  box.append(why, acts);
}

function draw(line) {
  const mine = me && line.sender === me.name;
  const item = make("li", mine ? "mine" : "");
  const isBot = line.sender === chat.bot;
  const face = make("div", "face", isBot ? "单" : line.sender.slice(0, 1));
  face.style.background = isBot ? "#06883f" : `hsl(${[...line.sender].reduce((sum, sign) => sum + sign.charCodeAt(0), 0) % 360} 38% 42%)`;
  face.setAttribute("aria-hidden", "true");
  const said = make("div", "said");
  said.append(make("p", "who", `${line.sender} ${line.time}`));
  if (line.card) {
    const box = make("article", "card");
    box.dataset.testid = `card-${line.key}`;
    drawCard(box, line.key, line.card);
    shown.set(line.key, { box, json: JSON.stringify(line.card) });
    said.append(box);
  } else {
    said.append(make("p", "bubble", line.text));
  }
  item.append(face, said);
  item.dataset.sender = line.sender;
  lines.append(item);
}

function drawPhone(texts) {
  at("phone").hidden = !texts.length;
  const key = JSON.stringify(texts);
  if (at("texts").dataset.key === key) return;
  at("texts").dataset.key = key;
  at("texts").replaceChildren(...texts.map((text) => {
    const item = make("li", "", text.text);
    item.append(make("span", "", `单号 ${text.no}`));
    return item;
  }));
}

async function poll() {
  if (!chat.room || busy) return;
  busy = true;
  try {
    const reply = await fetch(`messages?room=${encodeURIComponent(chat.room)}&after=${after}`);
    if (!reply.ok) throw new Error(String(reply.status));
    const news = await reply.json();
    const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 80;
    for (const line of news.lines) {
      if (line.id <= after) continue;
      after = line.id;
      draw(line);
    }
    for (const [key, card] of Object.entries(news.cards)) {
      const known = shown.get(key);
      const json = JSON.stringify(card);
      if (known && known.json !== json) {
        known.json = json;
        drawCard(known.box, key, card);
      }
    }
    drawPhone(news.phone);
    if (news.lines.length && atEnd) lines.scrollTop = lines.scrollHeight;
    at("offline").hidden = true;
  } catch {
    at("offline").hidden = false;
  }
  busy = false;
}

function become(member) {
  me = member;
  for (const button of at("people").children) button.setAttribute("aria-checked", String(button.dataset.id === String(member.id)));
  for (const item of lines.children) item.classList.toggle("mine", item.dataset.sender === member.name);
}

at("count").textContent = chat.members.length ? `（${chat.members.length + 1}）` : "";
for (const member of chat.members) {
  const button = make("button", "", `${member.name} · ${member.role}`);
  button.type = "button";
  button.dataset.id = member.id;
  button.setAttribute("role", "radio");
  button.addEventListener("click", () => become(member));
  at("people").append(button);
}
for (const word of ["接单 ", "拒单 ", "发货 ", "送达 ", "预约 ", "安装 ", "完工 ", "我的订单", "帮助"]) {
  const button = make("button", "", word.trim());
  button.type = "button";
  button.addEventListener("click", () => {
    at("text").value = word;
    at("text").focus();
  });
  at("quick").append(button);
}
at("box").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (!text || !me) return;
  at("text").value = "";
  try {
    await send("say", { text });
  } catch (error) {
    at("text").value = text;
    toast(error.message);
  }
  lines.scrollTop = lines.scrollHeight;
  await poll();
  lines.scrollTop = lines.scrollHeight;
});
document.querySelector("select[name=room]")?.addEventListener("change", (event) => event.target.form.submit());
if (chat.members.length) become(chat.members[0]);
poll();
setInterval(poll, POLL_MS);
