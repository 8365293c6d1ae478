"""The main job through public doors only: a signed livestream order becomes accepted, installed and settled work.

On SQLite in one process, on PostgreSQL and Redis in several; and again with every message told
three times in shuffled order, which must end in the same state.
"""

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.platforms.doudian import line
from tests.stories.shop import FINANCE_PHONE, OWNER_PHONE, Story, opened, until

pytestmark = pytest.mark.slow

# 1,299.00 yuan paid, supplied at 600.00: fee 20.00 + 6 % = 77.94 + 30 % of 699.00 = 209.70
INCOME_FEN = 2000 + 7794 + 20970
PAID_FEN = 129_900
BALANCES = """
from django.db.models import Sum
from dealers.models import LedgerLine
rows = LedgerLine.objects.values("account__code").annotate(s=Sum("amount_fen"))
print(json.dumps({row["account__code"]: row["s"] for row in rows}))
"""
STATE = """
from orders.models import *
from inventory.models import *
print(json.dumps({
    "orders": sorted(Order.objects.values_list("external_id", "state", "refunded_fen")),
    "works": sorted(FulfillmentOrder.objects.values_list("fo_no", "state")),
    "offers": sorted(Offer.objects.values_list("offer_no", "state", "income_fen")),
    "level": list(Level.objects.values_list("on_hand", "held")),
    "holds": OrderHold.objects.count(),
}))
"""
CODE = "from orders.models import RedeemCode\nprint(json.dumps(RedeemCode.objects.get(work__fo_no='{fo_no}').code))"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def system(request: Any, tmp_path_factory: Any) -> Iterator[tuple[str, str, str]]:
    if request.param == "sqlite":
        yield "", "", "--embedded"
    else:
        with servers.postgres() as database, servers.redis() as cache:
            yield database, cache, "--split"


@pytest.mark.parametrize("told", ["once", "three times, shuffled"])
def test_a_signed_order_becomes_accepted_installed_and_settled_work(system: Any, told: str, tmp_path: Path) -> None:
    database, cache, mode = system
    with opened(tmp_path, database, cache, mode) as story:
        number, short_no, fo_no = until_offered(story, told)
        accept_in_chat(story, short_no, told)
        owner = story.person(OWNER_PHONE)
        install(story, owner, fo_no)
        settled(story, fo_no)
        refund(story, number, told)
        assert story.ask(STATE) == {
            "orders": [[number, "completed", 12_990]],
            "works": [[fo_no, "completed"]],
            "offers": [[f"{fo_no}-1", "accepted", INCOME_FEN]],
            "level": [[19, 0]],
            "holds": 0,
        }
        assert story.here.manage("stock_audit").returncode == 0
        assert story.here.manage("ledger_verify").returncode == 0
        assert "张三丰" not in story.here.log()
        assert "13800000001" not in story.here.log()


def told_again(story: Story, told: str, *messages: dict[str, Any]) -> None:
    """Push messages once, or three times in shuffled order, several to an array."""
    if told == "once":
        story.push(*messages)
        return
    many = list(messages) * 3
    random.Random(7).shuffle(many)
    story.push(*many)
    for message in many:
        story.push(message)


def until_offered(story: Story, told: str) -> tuple[str, int, str]:
    """The platform pushes; the dealer's socket, opened before, hears of the offer."""
    owner = story.person(OWNER_PHONE)
    paid_at = str(int(datetime.now(UTC).timestamp()) - 30)
    number = story.doudian.order(line("SOFA", paid_fen=PAID_FEN), pay_time=paid_at, create_time=paid_at, update_time=paid_at)
    created, paid = story.doudian.message("100", number), story.doudian.message("101", number)
    told_again(story, told, created, paid, story.doudian.message("113", number))
    frames = story.listen(owner, "0-0", lambda frame: frame.get("name") == "offer.opened")
    offer = frames[-1]["payload"]
    assert (offer["income_fen"], offer["region"], offer["order_no"]) == (INCOME_FEN, "江苏省苏州市吴中区", f"DD{number}")
    assert "张三丰" not in str(frames)
    (row,) = owner.json("GET", "/api/offers")["results"]
    assert (row["offer_no"], row["actions"]) == (offer["offer_no"], ["accept", "decline"])
    status, _ = owner.call("POST", f"/api/works/{row['fo_no']}/receiver", {})
    assert status == 409
    until(lambda: story.api.count("message/send"), 20, "the card is in the chat")
    return number, row["short_no"], row["fo_no"]


def accept_in_chat(story: Story, short_no: int, told: str) -> None:
    for _ in range(1 if told == "once" else 3):
        story.chat(f"接单 {short_no}", msg_id="chat-1")
    until(lambda: any("已接单" in reply for reply in story.replies()), 20, "the bot answers")
    until(lambda: story.api.count("message/update_template_card"), 20, "the card's buttons die")
    assert len(story.replies()) == 1


def install(story: Story, owner: Any, fo_no: str) -> None:
    """Deliver by own van, make an appointment, install, and complete with the customer's code."""
    path = f"/api/works/{fo_no}"
    assert owner.json("POST", f"{path}/receiver", {})["name"] == "张三丰"
    work = owner.json("GET", path)
    stale, _ = owner.call("POST", f"{path}/ship", {"carrier": "self", "version": work["version"] + 1})
    assert stale == 409
    owner.json("POST", f"{path}/ship", {"carrier": "self", "version": work["version"]})
    owner.json("POST", f"{path}/deliver", {})
    begin = datetime.now(UTC) + timedelta(hours=1)
    owner.json(
        "POST", f"{path}/schedule", {"visit_from": begin.isoformat(), "visit_to": (begin + timedelta(hours=2)).isoformat()}
    )
    owner.json("POST", f"{path}/install", {})
    code = story.ask(CODE.format(fo_no=fo_no))
    wrong = "000000" if code != "000000" else "111111"
    assert owner.call("POST", f"{path}/complete", {"code": wrong})[0] == 409
    done = owner.json("POST", f"{path}/complete", {"code": code})
    assert (done["state"], done["actions"]) == ("completed", [])


def settled(story: Story, fo_no: str) -> None:
    """The ledger holds what the offer promised, to the fen, and sums to zero."""
    until(lambda: story.ask(BALANCES), 20, "the ledger is posted")
    assert story.ask(BALANCES) == {
        "payable:dealer:D001": -INCOME_FEN,
        "expense:service_fee": 2000,
        "expense:commission": 7794,
        "expense:price_diff": 20970,
    }


def refund(story: Story, number: str, told: str) -> None:
    """A tenth of the money goes back to the buyer, and a tenth of each component with it; then the statement."""
    told_again(story, told, story.doudian.refund(number, 12_990, key="A1"))
    left = INCOME_FEN - (200 + 779 + 2097)
    until(lambda: story.ask(BALANCES)["payable:dealer:D001"] == -left, 20, "the refund is reversed")
    assert sum(story.ask(BALANCES).values()) == 0
    drawn = story.here.manage("draw_statements", "--until-now")
    assert drawn.returncode == 0, drawn.stderr
    finance, owner = story.person(FINANCE_PHONE), story.person(OWNER_PHONE)
    (statement,) = owner.json("GET", "/api/statements")["results"]
    assert (statement["accrued_fen"], statement["reversed_fen"], statement["closing_fen"]) == (
        INCOME_FEN,
        INCOME_FEN - left,
        left,
    )
    assert finance.json("GET", "/api/statements")["results"] == [statement]
    confirmed = owner.json("POST", f"/api/statements/{statement['statement_no']}/confirm", {})
    assert confirmed["state"] == "confirmed"
    assert re.fullmatch(r"\S+", statement["statement_no"])
