"""Whatever people do with transfers, and however many at once: no unit appears and none disappears unseen."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import F, Sum

from inventory.arrivals import queries as arrival_queries
from inventory.ledger import actions as ledger
from inventory.ledger import queries as ledger_queries
from inventory.ledger.rules import NewMovement
from inventory.models import Incoming, Level, Movement, Node, Reservation, Sku, Transfer, TransferLine
from inventory.replenishment import actions as transfers
from inventory.replenishment import queries
from inventory.replenishment.rules import STEPS, Sending
from inventory.reservations import actions as reservations
from inventory.reservations.rules import Want
from oms_project.refusal import Refusal
from tests.make import make_node, make_sku

STEPS_TRIED = 120


def stock(node: Node, sku: Sku, units: int, at: datetime) -> None:
    ledger.post(movements=[NewMovement(node.pk, sku.pk, "receipt", units, f"in:{node.pk}:{sku.pk}")], actor="", at=at)


def units_by_sku() -> dict[int, int]:
    """What stands anywhere, is on its way, or was written off as lost."""
    found: dict[int, int] = {}
    on_hand = Level.objects.values_list("sku_id").annotate(units=Sum("on_hand"))
    out = TransferLine.objects.values_list("sku_id").annotate(units=Sum(F("shipped") - F("received")))
    for sku_id, units in [*on_hand, *out]:
        found[sku_id] = found.get(sku_id, 0) + units
    return found


class World:
    """Three places, two SKUs, and somebody who does anything that comes to mind."""

    def __init__(self, dice: Random, at: datetime) -> None:
        self.dice, self.at, self.number, self.done = dice, at, 0, 0
        self.nodes, self.skus = [make_node() for _ in range(3)], [make_sku() for _ in range(2)]
        for node in self.nodes:
            for sku in self.skus:
                stock(node, sku, dice.randint(5, 30), at)

    def act(self) -> None:
        self.number += 1
        try:
            self.dice.choice([self.request, self.request, self.send, self.hold, *[self.step] * 8])()
        except Refusal:
            return
        self.done += 1

    def some(self) -> dict[int, int]:
        return {sku.pk: self.dice.randint(1, 6) for sku in self.dice.sample(self.skus, self.dice.randint(1, 2))}

    def request(self) -> None:
        source, target = self.dice.sample(self.nodes, 2)
        transfers.request(
            transfer_no=f"DB{self.number}", source_id=source.pk, target_id=target.pk, quantities=self.some(), actor="", at=self.at
        )

    def send(self) -> None:
        source, target = self.dice.sample(self.nodes, 2)
        rows = [Sending(source.pk, target.pk, sku_id, units, f"f{self.number}:{sku_id}") for sku_id, units in self.some().items()]
        transfers.transfer_now(rows=rows, actor="", at=self.at)

    def hold(self) -> None:
        node, sku = self.dice.choice(self.nodes), self.dice.choice(self.skus)
        reservations.hold(wants=[Want(f"A{self.number}", node.pk, sku.pk, 1)], at=self.at)

    def step(self) -> None:
        """Mostly what can be done, and sometimes anything; giving up is rare."""
        known = list(Transfer.objects.order_by("pk")) or [Transfer(transfer_no="none", state="rejected")]
        transfer = self.dice.choice([each for each in known if queries.steps_of(each)] * 4 + known)
        possible = queries.steps_of(transfer) if self.dice.random() < 0.8 else list(STEPS)
        name = self.dice.choice(possible or list(STEPS))
        if name in {"reject", "cancel"} and self.dice.random() < 0.8:
            return
        how: dict[str, Any] = {"transfer_no": transfer.transfer_no, "version": transfer.version, "actor": "", "at": self.at}
        if name in {"reject", "cancel"}:
            how["reason"] = "不要了"
        elif name == "receive" or self.dice.random() < 0.3:
            how["quantities"] = {sku_id: units // 2 for sku_id, units in self.some().items()}
        if name == "receive":
            how |= {"key": str(self.dice.randint(1, 30)), "is_last": self.dice.random() < 0.3, "reason": "少了"}
        getattr(transfers, name)(**how)


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_done_every_unit_is_somewhere(seed: int, at: datetime) -> None:
    world = World(Random(seed), at)
    before = units_by_sku()
    for _ in range(STEPS_TRIED):
        world.act()
        assert units_by_sku() == before
    on_its_way = TransferLine.objects.filter(transfer__state="shipped")
    assert (on_its_way.aggregate(units=Sum(F("shipped") - F("received") - F("lost")))["units"] or 0) == (
        Incoming.objects.filter(state="open").aggregate(units=Sum(F("quantity") - F("received")))["units"] or 0
    )
    assert ledger_queries.drift() == []
    assert arrival_queries.drift() == []
    assert world.done > STEPS_TRIED // 4
    assert Transfer.objects.filter(state="received").exists()
    waiting = Transfer.objects.filter(state="approved").values_list("transfer_no", flat=True)
    assert set(waiting) == set(Reservation.objects.filter(state="open", kind="transfer").values_list("bill", flat=True))


def together(*deeds: Callable[[], object]) -> list[str]:
    """Do several things at the same moment, each on a connection of its own; what was refused, in words."""
    start, problems = threading.Barrier(len(deeds), timeout=20), []

    def run(deed: Callable[[], object]) -> None:
        try:
            start.wait()
            deed()
        except Refusal as refusal:
            problems.append(refusal.message)
        except Exception as error:
            problems.append(repr(error))
            raise
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


@pytest.fixture
def postgres(transactional_db: None) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("needs PostgreSQL")


def asked(number: str, source: Node, target: Node, skus: Sequence[Sku], units: int, at: datetime) -> Transfer:
    return transfers.request(
        transfer_no=number, source_id=source.pk, target_id=target.pk, quantities=dict.fromkeys([s.pk for s in skus], units),
        actor="", at=at,
    )  # fmt: skip


@pytest.mark.postgres
def test_two_approvals_for_the_last_units_give_them_once(postgres: None, at: datetime) -> None:
    source, target, skus = make_node(name="总仓"), make_node(), [make_sku("SOFA"), make_sku("LAMP")]
    for sku in skus:
        stock(source, sku, 5, at)
    for number in ("DB1", "DB2"):
        asked(number, source, target, skus, 4, at)

    def approve(number: str) -> None:
        transfers.approve(transfer_no=number, version=1, actor="", at=at)

    problems = together(lambda: approve("DB1"), lambda: approve("DB2"))
    assert problems == ["总仓：SOFA 可调 1 件，不足 4 件；LAMP 可调 1 件，不足 4 件"]
    assert sorted(Transfer.objects.values_list("state", flat=True)) == ["approved", "requested"]
    assert list(Level.objects.values_list("on_hand", "held")) == [(5, 4), (5, 4)]
    assert ledger_queries.drift() == []


@pytest.mark.postgres
@pytest.mark.parametrize(("keys", "refused"), [(("r1", "r2"), 1), (("r1", "r1"), 0)])
def test_two_receipts_of_one_shipment_count_it_once(postgres: None, at: datetime, keys: tuple[str, str], refused: int) -> None:
    source, target, sku = make_node(), make_node(), make_sku("SOFA")
    stock(source, sku, 5, at)
    asked("DB1", source, target, [sku], 5, at)
    transfers.approve(transfer_no="DB1", version=1, actor="", at=at)
    transfers.ship(transfer_no="DB1", version=2, actor="", at=at)

    def receive(key: str) -> None:
        transfers.receive(transfer_no="DB1", version=3, quantities={sku.pk: 5}, key=key, actor="", at=at)

    problems = together(lambda: receive(keys[0]), lambda: receive(keys[1]))
    assert len(problems) == refused
    assert all("不能收货" in problem or "内容已更新" in problem for problem in problems)
    assert list(Level.objects.filter(node=target).values_list("on_hand", "held")) == [(5, 0)]
    assert Movement.objects.filter(kind="transfer_in").count() == 1
    assert (Transfer.objects.get().state, ledger_queries.drift()) == ("received", [])


@pytest.mark.postgres
def test_imports_that_cross_do_not_wait_for_each_other_for_ever(postgres: None, at: datetime) -> None:
    one, two, skus = make_node(), make_node(), [make_sku() for _ in range(20)]
    for sku in skus:
        stock(one, sku, 9, at)
        stock(two, sku, 9, at)

    def send(source: Node, target: Node, name: str, order: Sequence[Sku]) -> None:
        rows = [Sending(source.pk, target.pk, sku.pk, 2, f"{name}:{sku.pk}") for sku in order]
        for turn in range(3):
            results = transfers.transfer_now(rows=rows, actor="", at=at)
            assert {each.code for each in results} == {"same" if turn else "done"}

    assert together(lambda: send(one, two, "a", skus), lambda: send(two, one, "b", skus[::-1])) == []
    assert set(Level.objects.values_list("on_hand", flat=True)) == {9}
    assert ledger_queries.drift() == []
