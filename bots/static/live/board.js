/* What the board knows: the figures of one moment, and every fact of the feed after it.
 *
 * Figures are never patched by guesswork: when newer ones arrive, the facts above their cursor are
 * applied to them again. Older figures, and facts at or below a cursor, change nothing. No DOM here.
 */
const KEEP = 5000;
const TICKER = 30;
const SESSIONS = 5;
const LABELS = { held: "待审核", placed: "待派单", unroutable: "无法派单", routed: "已派单", completed: "已完成", cancelled: "已取消" };

/** Whether cursor a, written "xid-id", is after cursor b. */
export function later(a, b) {
  const [ax, ai] = a.split("-").map(BigInt);
  const [bx, bi] = b.split("-").map(BigInt);
  return ax > bx || (ax === bx && ai > bi);
}

/** Whether a fact may change what can be sold of locked stock; without an active lock only a lock can. */
export function touchesLocks(name, active) {
  return name === "stock.lock_moved" || (active && /^(order|offer)\./.test(name));
}

/** When to ask for the locks: at once at first, then at most every `pause` ms, and only while something was heard that is not in the answer. */
export class LockClock {
  constructor(pause) {
    this.pause = pause;
    this.asked = -Infinity;
    this.heard = -Infinity;
    this.waits = false;
  }

  /** Something happened; returns in how many ms to ask, or null when that is arranged already. */
  hear(now) {
    this.heard = now;
    return this.arrange(now);
  }

  arrange(now) {
    if (this.waits) return null;
    this.waits = true;
    return Math.max(0, this.asked + this.pause - now);
  }

  ask(now) {
    this.waits = false;
    this.asked = now;
  }

  /** An answer that was kept for `age` ms when it was asked for at `asked`; returns when to ask again, or null. */
  take(asked, age, now) {
    return asked - age < this.heard ? this.arrange(now) : null;
  }
}

/** Moves the bars on so that the last one is `minute` (whole minutes since 1970). */
export function roll(minutes, minute) {
  for (const length = minutes.orders.length; minutes.last < minute; minutes.last++) {
    if (minute - minutes.last > length) minutes.last = minute - length;
    minutes.orders.push(0);
    minutes.orders.shift();
  }
}

function placed(now, { payload, at }) {
  now.waiting.placed++;
  const known = now.ticker.find((row) => row.order_no === payload.order_no);
  if (known) return void Object.assign(known, { state: "placed", state_label: LABELS.placed });
  if (payload.order_id <= now.newest_order) return void (now.waiting.held = Math.max(0, now.waiting.held - 1));
  now.newest_order = payload.order_id;
  now.orders++;
  now.amount_fen += payload.paid_fen;
  const minute = Math.floor(Date.parse(at) / 60000);
  roll(now.minutes, minute);
  const bar = now.minutes.orders.length - 1 - (now.minutes.last - minute);
  if (bar >= 0) now.minutes.orders[bar]++;
  const tile = now.provinces.find((one) => one.code === payload.division_code.slice(0, 2));
  if (tile) {
    tile.orders++;
    tile.amount_fen += payload.paid_fen;
  }
  if (payload.live_session) {
    const same = (one) => one.session === payload.live_session && one.anchor === payload.anchor;
    const session = now.sessions.find(same);
    if (session) {
      session.orders++;
      session.amount_fen += payload.paid_fen;
    } else if (now.sessions.length < SESSIONS) { // with fewer than five, one that is not there is new
      now.sessions.push({ session: payload.live_session, anchor: payload.anchor, orders: 1, amount_fen: payload.paid_fen });
    }
    now.sessions.sort((a, b) => b.amount_fen - a.amount_fen);
  }
  now.ticker.unshift({
    order_no: payload.order_no, region: payload.region || (tile ? tile.name : ""), amount_fen: payload.paid_fen,
    state: "placed", state_label: LABELS.placed, at,
  });
  now.ticker.length = Math.min(now.ticker.length, TICKER);
}

function moved(now, orderNo, state) {
  const row = now.ticker.find((one) => one.order_no === orderNo);
  const was = row ? row.state : state === "routed" || state === "unroutable" ? "placed" : "";
  if (was === state) return;
  if (was in now.waiting) now.waiting[was] = Math.max(0, now.waiting[was] - 1);
  if (state in now.waiting) now.waiting[state]++;
  if (row) Object.assign(row, { state, state_label: LABELS[state] });
}

function closed(now, payload) {
  const offers = now.offers;
  offers.pending = Math.max(0, offers.pending - 1);
  if (!(payload.state in offers)) return;
  if (payload.state === "accepted") {
    const whole = (offers.mean_accept_seconds || 0) * offers.accepted + payload.waited_seconds;
    offers.mean_accept_seconds = Math.round((whole / (offers.accepted + 1)) * 10) / 10;
  }
  offers[payload.state]++;
}

/** Applies one fact; true when only new figures tell the whole of it. */
export function apply(now, fact) {
  const { name, payload } = fact;
  if (name === "order.placed") placed(now, fact);
  else if (name === "order.routed") moved(now, payload.order_no, "routed");
  else if (name === "order.unroutable") moved(now, payload.order_no, "unroutable");
  else if (name === "order.completed") moved(now, payload.order_no, "completed");
  else if (name === "offer.opened") now.offers.pending++;
  else if (name === "offer.closed") closed(now, payload);
  else return name === "order.held" || name === "order.cancelled";
  return false;
}

export class Board {
  constructor() {
    this.base = null; // the cursor of the figures
    this.last = null; // the cursor of the latest fact heard
    this.facts = [];
    this.now = null;
  }

  /** Takes figures, unless it already has newer ones. */
  take(figures) {
    if (this.base && later(this.base, figures.cursor)) return false;
    this.base = figures.cursor;
    this.facts = this.facts.filter((fact) => later(fact.cursor, this.base));
    this.now = structuredClone(figures);
    for (const fact of this.facts) apply(this.now, fact);
    return true;
  }

  /** Takes a fact once; returns "new", "ask" (fetch figures soon) or "" (known). */
  hear(fact) {
    if ((this.last && !later(fact.cursor, this.last)) || (this.base && !later(fact.cursor, this.base))) return "";
    this.last = fact.cursor;
    this.facts.push(fact);
    if (this.facts.length > KEEP) this.facts.shift();
    return this.now && apply(this.now, fact) ? "ask" : "new";
  }
}
