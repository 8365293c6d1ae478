"""What the live board's page makes of figures and facts, told by the script itself in Node."""

import shutil
import subprocess
from pathlib import Path

import pytest

BOARD = Path(__file__).resolve().parents[2] / "bots" / "static" / "live" / "board.js"
TOLD = """
import assert from "node:assert/strict";
const figures = (cursor, more) => ({
  cursor, newest_order: 10, orders: 5, amount_fen: 500, cancelled: 0, minutes: { last: 100, orders: [0, 0, 3] },
  waiting: { placed: 1, unroutable: 0, held: 1 }, provinces: [{ code: "32", name: "江苏", orders: 5, amount_fen: 500 }],
  sessions: [], ticker: [], offers: { pending: 1, accepted: 1, declined: 0, expired: 0, withdrawn: 0, mean_accept_seconds: 10 },
  ...more,
});
const placed = (cursor, id, minute = 100) => ({
  cursor, name: "order.placed", at: new Date(minute * 60000 + 5000).toISOString(),
  payload: { order_id: id, order_no: `DD${id}`, division_code: "320506", paid_fen: 30, live_session: "", anchor: "" },
});

assert.ok(later("2-1", "1-9") && later("1-10", "1-9") && !later("1-9", "1-9"));
assert.ok(later("9007199254740993-1", "9007199254740992-1"), "cursors are longer than a double is exact");

const board = new Board();
assert.ok(board.take(figures("0-5")));
assert.equal(board.hear(placed("0-5", 11)), "", "not above the figures");
assert.equal(board.hear(placed("0-6", 11)), "new");
assert.equal(board.hear(placed("0-6", 11)), "", "heard twice");
assert.deepEqual([board.now.orders, board.now.amount_fen, board.now.waiting.placed], [6, 530, 2]);
assert.deepEqual(board.now.minutes.orders, [0, 0, 4]);
assert.equal(board.now.provinces[0].orders, 6);
assert.equal(board.now.ticker[0].state_label, "待派单");

assert.ok(board.take(figures("0-5")), "the same moment again");
assert.equal(board.now.orders, 6, "a fact after the figures is never lost by fetching");
assert.ok(!board.take(figures("0-4", { orders: 1 })), "older figures are not taken");
assert.equal(board.now.orders, 6);
assert.ok(board.take(figures("0-6", { orders: 6, newest_order: 11 })));
assert.equal(board.now.orders, 6, "a fact in the figures does not count again");

board.hear(placed("0-7", 4));
assert.deepEqual([board.now.orders, board.now.waiting.placed, board.now.waiting.held], [6, 2, 0], "a released order is not new");
board.hear(placed("0-8", 12, 102));
assert.deepEqual(board.now.minutes, { last: 102, orders: [3, 0, 1] });
board.hear({ cursor: "0-9", name: "order.routed", payload: { order_no: "DD12" } });
assert.deepEqual([board.now.ticker[0].state, board.now.waiting.placed], ["routed", 2]);

board.hear({ cursor: "0-10", name: "offer.opened", payload: {} });
board.hear({ cursor: "0-11", name: "offer.closed", payload: { state: "accepted", waited_seconds: 20 } });
board.hear({ cursor: "0-12", name: "offer.closed", payload: { state: "declined", waited_seconds: 9 } });
assert.deepEqual(board.now.offers, { pending: 0, accepted: 2, declined: 1, expired: 0, withdrawn: 0, mean_accept_seconds: 15 });
assert.equal(board.hear({ cursor: "0-13", name: "order.held", payload: {} }), "ask", "only figures can tell");

const sold = placed("0-14", 13, 102);
sold.payload.live_session = "S1";
board.hear(sold);
board.hear({ ...sold, cursor: "0-15", payload: { ...sold.payload, order_id: 14, order_no: "DD14" } });
assert.deepEqual(board.now.sessions, [{ session: "S1", anchor: "", orders: 2, amount_fen: 60 }]);

assert.ok(touchesLocks("stock.lock_moved", false), "a lock may have begun");
assert.ok(touchesLocks("order.placed", true) && touchesLocks("offer.closed", true));
assert.ok(!touchesLocks("order.placed", false) && !touchesLocks("stock.arrived", true) && !touchesLocks("work.moved", true));

const clock = new LockClock(2000);
clock.ask(0);
assert.equal(clock.take(0, 0, 50), null, "nothing was heard");
assert.equal(clock.hear(500), 1500, "two seconds after the last question");
assert.equal(clock.hear(600), null, "that question is arranged already");
clock.ask(2000);
assert.equal(clock.take(2000, 1500, 2050), 1950, "an answer from before the fact: ask again");
clock.ask(4000);
assert.equal(clock.take(4000, 0, 4050), null);
assert.equal(clock.hear(9000), 0);
clock.ask(9000);
assert.equal(clock.hear(9010), 1990);

const long = { last: 100, orders: [1, 2, 3] };
roll(long, 5000);
assert.deepEqual(long, { last: 5000, orders: [0, 0, 0] });
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="DID NOT RUN: the page's script needs Node.js")
def test_figures_and_facts_merge_without_loss_or_doubles(tmp_path: Path) -> None:
    shutil.copy(BOARD, tmp_path / "board.mjs")
    (tmp_path / "told.mjs").write_text(f'import {{ Board, LockClock, later, roll, touchesLocks }} from "./board.mjs";\n{TOLD}')
    ran = subprocess.run(["node", "told.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stderr
