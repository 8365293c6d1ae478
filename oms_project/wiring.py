"""The page that says "when X happens, call Y", and what is called by the clock. Three tables, no logic.

SUBSCRIPTIONS: the journal calls a subscriber with facts recorded earlier, in the next transaction.
PUMPS: queues of our own that are drained whenever something was committed.
TICKS: what the clock does; every one may be late, early or doubled without harm.
"""

from bots import delivery
from dealers.capacity import actions as capacity
from dealers.settlement import actions as settlement
from inventory.exchange import actions as exchange
from inventory.ledger import actions as ledger
from inventory.locks import actions as locks
from inventory.pool import actions as pool
from inventory.replenishment import actions as replenishment
from inventory.reservations import actions as reservations
from oms_project import events
from oms_project.journal.subscription import Subscription, Where
from oms_project.tasks import jobs
from oms_project.tasks.ticks import Pump, Tick
from orders.dispatch import actions as dispatch
from orders.forecast import actions as forecast
from orders.fulfilment import actions as fulfilment
from orders.intake import actions as intake
from orders.offers import actions as offers
from orders.rebalance import actions as rebalance
from orders.simulation import actions as simulation
from orders.stranded import actions as stranded

SUBSCRIPTIONS: list[Subscription] = [
    # An order looks for its node and its dealer.
    Subscription(events.OrderPlaced, dispatch.on_order_placed),
    Subscription(events.OfferClosed, dispatch.on_offer_closed),
    Subscription(events.OrderAmended, dispatch.on_order_amended),
    Subscription(events.OrderClosedAtSource, dispatch.on_order_closed_at_source),
    Subscription(events.StockArrived, locks.on_stock_arrived),
    Subscription(events.StockArrived, stranded.on_stock_arrived),
    Subscription(events.StockShort, locks.on_stock_short),
    Subscription(events.RoutingChanged, stranded.on_routing_changed),
    Subscription(events.CapacityFreed, stranded.on_capacity_freed),
    Subscription(events.RetryDue, stranded.on_retry_due),
    Subscription(events.StockRulesChanged, ledger.on_stock_rules_changed, Where.OUTSIDE),
    # Accepted work is done, and the customer says so.
    Subscription(events.WorkMoved, fulfilment.on_work_moved),
    Subscription(events.WorkMoved, fulfilment.on_work_done),
    Subscription(events.OrderFinishedAtSource, fulfilment.on_order_finished_at_source),
    Subscription(events.RefundSucceeded, fulfilment.on_refund_succeeded),
    # Done work is paid for, refunded work is paid back.
    Subscription(events.WorkCompleted, settlement.on_work_completed),
    Subscription(events.WorkRefunded, settlement.on_work_refunded),
    # People are told in their chats.
    Subscription(events.OfferOpened, delivery.on_offer_opened, Where.OUTSIDE),
    Subscription(events.OfferClosed, delivery.on_offer_closed, Where.OUTSIDE),
]

PUMPS: list[Pump] = [intake.digest_messages, delivery.answer_events]

TICKS: list[Tick] = [
    Tick(offers.expire_due, 1),
    Tick(rebalance.redecide, 30),
    Tick(forecast.renew_nightly, 600),
    Tick(stranded.cancel_due, 60),
    Tick(capacity.close_days, 60),
    Tick(reservations.expire_due, 5),
    Tick(ledger.apply_stock_rules, 3600),
    Tick(ledger.audit_stock, 5),
    Tick(replenishment.find_needs, 5),
    Tick(locks.end_due, 5),
    Tick(locks.start_due, 5),
    Tick(locks.top_up, 5),
    Tick(exchange.work_on_files, 2),
    Tick(pool.count_pool, 10),
    Tick(simulation.work_on_simulations, 2),
    Tick(pool.publish_due, 10),
    Tick(jobs.purge, 3600),
]
