"""Stored history, written set-based: orders that were done long ago, with everything that hangs on them."""

from itertools import count

from django.db import connection

# Every table that one order leaves rows in. %(n)s orders; ids are left to the sequences.
_STEPS = (
    "INSERT INTO orders_sourcemessage (account_id, message_key, tag, external_id, body_sealed, detail_sealed, received_at, "
    "due_at, done_at, outcome, tries, last_error) SELECT (SELECT min(id) FROM orders_channelaccount), '{mark}:' || n, '101', "
    "'{mark}' || n, repeat('b', 300), repeat('d', 1500), {when}, NULL, {when}, 'placed', 1, '' FROM generate_series(1, %(n)s) n",
    "INSERT INTO orders_order (order_no, channel, shop, external_id, state, version, channel_status, source_updated_at, paid_at, "
    "placed_at, goods_fen, freight_fen, paid_fen, refunded_fen, division_code, region, receiver_sealed, receiver_masked, "
    "receiver_print, has_note, live_session, anchor, tags) SELECT 'D{mark}-' || n, 'doudian', 'filler{mark}', '{mark}' || n, 'completed', 3, 'FINISHED', "
    "1, {when}, {when}, 100000, 0, 100000, 0, '320506', '江苏省苏州市吴中区', repeat('r', 300), '王** 138****0000', "
    "md5(n::text), false, 'LIVE-1', 'A1', '[]' FROM generate_series(1, %(n)s) n",
    "INSERT INTO orders_orderline (order_id, position, external_line_id, sold_code, title, sku_id, quantity, paid_fen, "
    "fulfilled_quantity, cancelled_quantity, refunded_fen) SELECT id, 1, external_id || '1', 'SF-2001', '沙发', {sku}, 1, 100000, "
    "1, 0, 0 FROM orders_order WHERE shop = 'filler{mark}'",
    "INSERT INTO orders_fulfillmentorder (fo_no, order_id, node_id, dealer_id, state, version, short_no, needs_install, paid_fen, "
    "summary, opened_at, accepted_at, moved_at) SELECT order_no || '-1', id, {node}, {dealer}, 'completed', 5, id %% 10000, true, "
    "100000, '沙发 ×1', placed_at, placed_at, placed_at FROM orders_order WHERE shop = 'filler{mark}'",
    "INSERT INTO orders_fulfillmentline (work_id, order_line_id, sku_id, quantity) SELECT w.id, l.id, l.sku_id, 1 "
    "FROM orders_fulfillmentorder w JOIN orders_orderline l USING (order_id) JOIN orders_order o ON o.id = w.order_id "
    "WHERE o.shop = 'filler{mark}'",
    "INSERT INTO orders_offer (offer_no, work_id, dealer_id, node_id, round, ladder_step, state, version, income_fen, income, "
    "opened_at, expires_at, answered_at, decline_reason, note) SELECT fo_no || '-1', id, {dealer}, {node}, 1, 1, 'accepted', 2, "
    "8000, '[]', opened_at, opened_at, opened_at, '', '' FROM orders_fulfillmentorder WHERE fo_no LIKE 'D{mark}-%%'",
    "INSERT INTO orders_routingdecision (order_id, fo_no, round, policy, ladder_step, is_routable, cost_fen, runner_up_fen, plan, "
    "trace, terms, decided_at) SELECT id, '', 1, 'filler v1', 1, true, 5000, NULL, '[]', jsonb_build_array(repeat('t', 1000)), '{{}}', placed_at "
    "FROM orders_order WHERE shop = 'filler{mark}'",
    "INSERT INTO inventory_reservation (level_id, bill, kind, quantity, state, held_at, closed_at) SELECT (SELECT min(id) FROM "
    "inventory_level), order_no || '-1', 'node', 1, 'consumed', placed_at, placed_at FROM orders_order WHERE shop = 'filler{mark}'",
    "INSERT INTO journal_entry (name, subject, rooms, actor, payload, recorded_at, xid) SELECT e, 'order:' || order_no, ' ops ', '', "
    "jsonb_build_object('order_id', id, 'order_no', order_no), placed_at, 0 FROM orders_order, "
    "unnest(ARRAY['order.placed', 'order.routed', 'offer.opened', 'offer.closed', 'work.moved']) e WHERE shop = 'filler{mark}'",
)


_runs = count(1)


def fill(orders: int) -> None:
    """Write that many completed orders with their messages, lines, work, offers, decisions, reservations and facts."""
    parts = {
        "mark": f"F{next(_runs)}x",
        "when": "now() - interval '90 days' + n * interval '30 seconds'",
        "sku": "(SELECT min(id) FROM inventory_sku)",
        "node": "(SELECT min(id) FROM inventory_node WHERE dealer_id IS NOT NULL)",
        "dealer": "(SELECT dealer_id FROM inventory_node WHERE dealer_id IS NOT NULL ORDER BY id LIMIT 1)",
    }
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for step in _STEPS:
            cursor.execute(step.format(**parts), {"n": orders})
        cursor.execute("VACUUM ANALYZE")
