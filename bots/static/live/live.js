/* The live board: opens the feed, fetches figures after every opening, and draws what board.js knows. */
import { Board, LockClock, later, roll, touchesLocks } from "./board.js";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const FETCH_EVERY = 15000, AGAIN = 1100, PING_EVERY = 20000, DEAF_AFTER = 50000, LONGEST_WAIT = 30000;
const LOCKS_PAUSE = 2000, LOCKS_EVERY = 30000;
const PLACES = { // column and row of each province's tile
  23: [7, 1], 15: [4, 2], 22: [7, 2], 65: [1, 3], 62: [2, 3], 64: [3, 3], 14: [4, 3], 11: [5, 3], 12: [6, 3], 21: [7, 3],
  63: [2, 4], 61: [3, 4], 41: [4, 4], 13: [5, 4], 37: [6, 4], 54: [1, 5], 51: [2, 5], 50: [3, 5], 42: [4, 5], 34: [5, 5],
  32: [6, 5], 31: [7, 5], 53: [2, 6], 52: [3, 6], 43: [4, 6], 36: [5, 6], 33: [6, 6], 45: [3, 7], 44: [4, 7], 35: [5, 7],
  71: [7, 7], 46: [3, 8], 82: [4, 8], 81: [5, 8],
};
const board = new Board();
let socket = null, tries = 0, heardAt = 0, hello = null, ahead = 0;
let fetching = false, fetchTimer = 0, wanted = false, dirty = false;

/* ---- the feed ---- */
function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const line = (socket = new WebSocket(`${scheme}//${location.host}/ws/feed`));
  hello = null;
  line.onmessage = ({ data }) => {
    if (line !== socket) return;
    heardAt = Date.now();
    if (data === "pong") return;
    const said = JSON.parse(data);
    if (said.type === "hello") {
      hello = said.cursor;
      board.last = null; // this line begins at `hello`; what came before is in the figures
      refresh();
    } else if (said.type === "reload") refresh();
    else if (said.cursor) {
      const news = board.hear(said);
      if (news === "ask") soon(2000);
      if (news) dirty = true;
      if (touchesLocks(said.name, locks.length > 0)) askLocksIn(lockClock.hear(Date.now()));
    }
  };
  line.onclose = ({ code }) => {
    if (line !== socket) return;
    socket = null;
    state(code === 4401 || code === 4403 ? "out" : "away");
    if (code === 4401 || code === 4403) return void setTimeout(() => location.reload(), 5000);
    const wait = Math.min(LONGEST_WAIT, 500 * 2 ** tries++);
    setTimeout(connect, wait / 2 + Math.random() * (wait / 2));
  };
}

function state(name) {
  const words = { live: "实时", away: "重连中", out: "登录已失效" };
  $("state").dataset.state = name;
  $("state").textContent = words[name];
}

setInterval(() => {
  if (socket?.readyState !== WebSocket.OPEN) return;
  if (Date.now() - heardAt > DEAF_AFTER) socket.close();
  else socket.send("ping");
}, PING_EVERY);

/* ---- the figures ---- */
function soon(delay) {
  if (wanted) return;
  wanted = true;
  setTimeout(refresh, delay);
}

async function refresh() {
  clearTimeout(fetchTimer);
  wanted = false;
  if (fetching) return soon(300);
  fetching = true;
  let next = FETCH_EVERY;
  const line = socket;
  try {
    const answer = await fetch("figures", { headers: { Accept: "application/json" }, redirect: "error", signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(answer.status);
    const figures = await answer.json();
    ahead = Date.parse(figures.at) - Date.now();
    if (board.take(figures)) dirty = true;
    if (line && line === socket && hello) {
      if (later(hello, figures.cursor)) next = AGAIN; // kept from just before this line opened
      else {
        tries = 0;
        state("live");
      }
    }
  } catch {
    next = 3000;
    if (socket) state("away");
  }
  fetching = false;
  fetchTimer = setTimeout(refresh, next);
}

/* ---- what may be sold of locked stock ---- */
const lockClock = new LockClock(LOCKS_PAUSE);
let locks = [];

function askLocksIn(wait) {
  if (wait !== null) setTimeout(askLocks, wait);
}

async function askLocks() {
  const asked = Date.now();
  lockClock.ask(asked);
  try {
    const answer = await fetch("locks", { headers: { Accept: "application/json" }, redirect: "error", signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(answer.status);
    const told = await answer.json();
    if (asked !== lockClock.asked) return; // a later question is under way
    locks = told.locks;
    drawLocks();
    askLocksIn(lockClock.take(asked, told.age_ms, Date.now()));
  } catch {
    if (locks.length) askLocksIn(lockClock.arrange(Date.now()));
  }
}
setInterval(() => askLocksIn(lockClock.arrange(Date.now())), LOCKS_EVERY);

/* ---- drawing ---- */
const whole = new Intl.NumberFormat("zh-CN");
const yuan = (fen) => whole.format(Math.floor(fen / 100));
const clock = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const short = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", hour: "2-digit", minute: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", month: "long", day: "numeric", weekday: "long" });

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function put(id, text) {
  const node = $(id);
  if (node.textContent !== text) node.textContent = text;
}

const tiles = new Map();
function drawMap(provinces) {
  const most = Math.max(1, ...provinces.map((one) => one.orders));
  for (const one of provinces) {
    let tile = tiles.get(one.code);
    if (!tile) {
      tile = make("div", "tile");
      tile.append(make("b", "", one.name), make("i"));
      [tile.style.gridColumn, tile.style.gridRow] = PLACES[one.code];
      tiles.set(one.code, tile);
      $("map").append(tile);
    }
    const was = Number(tile.dataset.orders || 0);
    tile.dataset.orders = one.orders;
    tile.lastChild.textContent = one.orders ? whole.format(one.orders) : "·";
    tile.title = `${one.name} ${whole.format(one.orders)} 单 ¥${yuan(one.amount_fen)}`;
    const heat = Math.sqrt(one.orders / most);
    tile.style.setProperty("--heat", heat.toFixed(3));
    tile.classList.toggle("hot", heat > 0.9);
    if (was && one.orders > was) tile.animate([{ outlineColor: "#7df9ff" }, { outlineColor: "transparent" }], 900);
  }
}

const bars = [];
function drawBars({ last, orders }) {
  const chart = $("bars"), width = 600, height = 150;
  const most = Math.max(5, ...orders);
  if (!bars.length) {
    for (let line = 0; line < 3; line++) {
      const rule = document.createElementNS(SVG, "line");
      const y = 5 + (line * height) / 3;
      for (const [key, value] of Object.entries({ x1: 0, x2: width, y1: y, y2: y, class: "rule" })) rule.setAttribute(key, value);
      chart.append(rule);
    }
    orders.forEach((_, index) => {
      const bar = document.createElementNS(SVG, "rect");
      bar.setAttribute("x", (index * width) / orders.length + 3);
      bar.setAttribute("width", width / orders.length - 6);
      bar.setAttribute("rx", 2);
      bars.push(bar);
      chart.append(bar);
    });
    bars.at(-1).classList.add("now");
  }
  orders.forEach((count, index) => {
    const tall = Math.max(count ? 3 : 1, (count / most) * height);
    bars[index].setAttribute("height", tall);
    bars[index].setAttribute("y", height + 5 - tall);
  });
  const finished = orders.slice(-6, -1);
  put("pace", (finished.reduce((sum, count) => sum + count, 0) / finished.length).toFixed(1));
  put("peak", whole.format(Math.max(...orders)));
  for (const [id, ago] of [["from", orders.length - 1], ["mid", 15], ["to", 0]]) put(id, short.format((last - ago) * 60000));
}

function drawFunnel(offers) {
  const ended = offers.accepted + offers.declined + offers.expired;
  const asked = ended + offers.pending;
  const rows = { asked, accepted: offers.accepted, pending: offers.pending, declined: offers.declined, expired: offers.expired };
  for (const [name, count] of Object.entries(rows)) {
    put(`f-${name}`, whole.format(count));
    $(`w-${name}`).style.width = `${asked ? Math.max(count ? 1.5 : 0, (100 * count) / asked) : 0}%`;
  }
  put("rate", ended ? ((100 * offers.accepted) / ended).toFixed(1) : "–");
  put("mean", offers.mean_accept_seconds === null ? "–" : offers.mean_accept_seconds.toFixed(1));
}

function drawSessions(sessions) {
  const most = Math.max(1, ...sessions.map((one) => one.amount_fen));
  $("no-sessions").hidden = sessions.length > 0;
  $("sessions").replaceChildren(
    ...sessions.map((one) => {
      const row = make("li");
      const bar = make("u");
      bar.style.width = `${(100 * one.amount_fen) / most}%`;
      const name = make("span", "who");
      name.append(make("b", "", one.anchor || "直播间"), make("small", "", one.session));
      row.append(bar, name, make("span", "count", `${whole.format(one.orders)} 单`), make("span", "money", `¥${yuan(one.amount_fen)}`));
      return row;
    }),
  );
}

function drawLocks() {
  $("locks").hidden = locks.length === 0;
  $("locks").parentElement.classList.toggle("locking", locks.length > 0);
  put("lock-count", whole.format(locks.length));
  $("lock-list").replaceChildren(
    ...locks.map((one) => {
      const row = make("li");
      row.dataset.alarm = one.alarm;
      const name = make("span", "who");
      name.append(make("b", "", one.name), make("small", "", one.sku_code));
      name.title = `${one.name} ${one.sku_code} ${one.sku_name}`;
      const rest = make("span", "rest");
      rest.append("还可卖 ", make("b", "num", whole.format(one.safe)), " 件");
      const spread = make("small", "spread");
      spread.append(...one.provinces.map((place) => make("span", "", `${place.name} ${whole.format(place.safe)}`)));
      row.append(name, make("span", "kept", `锁着 ${whole.format(one.locked)} · 已售 ${whole.format(one.drawn)}`), rest, spread);
      return row;
    }),
  );
}

const rows = new Map();
function drawTicker(ticker) {
  const list = $("ticker");
  const first = rows.size === 0;
  const seen = new Set();
  let before = null;
  for (const one of ticker) {
    seen.add(one.order_no);
    let row = rows.get(one.order_no);
    if (!row) {
      row = make("li", first ? "" : "new");
      row.append(make("time"), make("span", "where"), make("span", "money"), make("em"));
      row.append(make("small", "", one.order_no));
      rows.set(one.order_no, row);
    }
    const [time, where, money, label] = row.children;
    time.textContent = clock.format(Date.parse(one.at));
    where.textContent = one.region || "地区待核";
    money.textContent = `¥${yuan(one.amount_fen)}`;
    label.textContent = one.state_label;
    label.dataset.state = one.state;
    const place = before ? before.nextSibling : list.firstChild;
    if (row !== place) list.insertBefore(row, place);
    before = row;
  }
  for (const [number, row] of rows) {
    if (seen.has(number)) continue;
    row.remove();
    rows.delete(number);
  }
}

function draw() {
  const now = board.now;
  if (!now) return;
  put("amount", yuan(now.amount_fen));
  put("orders", whole.format(now.orders));
  put("cancelled", whole.format(now.cancelled));
  put("average", now.orders ? yuan(now.amount_fen / now.orders) : "–");
  for (const name of ["placed", "unroutable", "held"]) {
    put(`q-${name}`, whole.format(now.waiting[name]));
    $(`q-${name}`).parentElement.classList.toggle("calm", now.waiting[name] === 0);
  }
  drawMap(now.provinces);
  drawBars(now.minutes);
  drawFunnel(now.offers);
  drawSessions(now.sessions);
  drawTicker(now.ticker);
}

setInterval(() => {
  if (!dirty || document.hidden) return;
  dirty = false;
  draw();
}, 200);

setInterval(() => {
  const at = Date.now() + ahead;
  put("clock", clock.format(at));
  put("day", day.format(at));
  const minute = Math.floor(at / 60000);
  if (board.now && board.now.minutes.last < minute) {
    roll(board.now.minutes, minute);
    dirty = true;
  }
}, 500);

state("away");
connect();
refresh();
askLocks();
