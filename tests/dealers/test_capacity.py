"""No dealer gets more work in a day than it may, and what earlier days left over comes on top up to a bound."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from dealers.capacity import actions, queries, rules
from dealers.capacity.rules import Counted, DealerDay
from dealers.directory.rules import day_of
from dealers.models import Acceptance, DayLoad, DaySlot, Dealer
from oms_project.journal.models import Entry
from oms_project.refusal import NotFound
from tests.make import make_dealer, make_staff

TODAY = date(2026, 11, 25)  # a Wednesday


def freed() -> list[tuple[int, str]]:
    return [
        (told["dealer_id"], told["why"]) for told in Entry.objects.filter(name="capacity.freed").values_list("payload", flat=True)
    ]


def take(dealer: Dealer, *bills: str, at: datetime) -> frozenset[str]:
    return actions.take(slots=dict.fromkeys(bills, dealer.pk), days=queries.days_of([dealer.pk], at), at=at)


def loads() -> list[tuple[date, int, int]]:
    return list(DayLoad.objects.order_by("dealer", "day").values_list("day", "taken", "allowed"))


@pytest.mark.django_db
def test_work_takes_its_place_until_the_day_is_full(at: datetime) -> None:
    dealer = make_dealer(capacity_per_day=3)
    assert take(dealer, "A", "B", at=at) == {"A", "B"}
    assert take(dealer, "C", "D", at=at) == {"C"}
    assert take(dealer, "E", at=at) == frozenset()
    assert (loads(), DaySlot.objects.count()) == ([(TODAY, 3, 3)], 3)
    assert queries.days_of([dealer.pk], at)[dealer.pk].left == 0


@pytest.mark.django_db
def test_the_same_work_takes_one_place_however_often_it_asks(at: datetime) -> None:
    dealer = make_dealer(capacity_per_day=2)
    for _ in range(3):
        assert take(dealer, "A", at=at) == {"A"}
    assert take(dealer, "A", "B", at=at) == {"A", "B"}
    assert loads() == [(TODAY, 2, 2)]


@pytest.mark.django_db
def test_what_is_given_back_is_free_once(at: datetime) -> None:
    dealer, other = make_dealer(capacity_per_day=2), make_dealer(capacity_per_day=9)
    take(dealer, "A", "B", at=at)
    take(other, "X", at=at)
    for _ in range(2):
        actions.give_back(bills=["A", "X", "unknown"], actor="test", at=at)
    assert loads() == [(TODAY, 1, 2), (TODAY, 0, 9)]
    assert freed() == [(dealer.pk, "given_back")]  # the other one was not full, nobody waited for it
    assert take(dealer, "C", at=at) == {"C"}


@pytest.mark.django_db
def test_work_that_moves_gives_its_old_place_back(at: datetime) -> None:
    old, new = make_dealer(capacity_per_day=1), make_dealer(capacity_per_day=1)
    take(old, "A", at=at)
    days = queries.days_of([new.pk], at)
    for _ in range(2):
        assert actions.move(slots={"A": new.pk}, days=days, actor="test", at=at) == {"A"}
    assert loads() == [(TODAY, 0, 1), (TODAY, 1, 1)]
    assert list(DaySlot.objects.values_list("bill", "dealer")) == [("A", new.pk)]
    take(old, "B", at=at)
    assert actions.move(slots={"B": new.pk}, days=days, actor="test", at=at) == frozenset()
    assert (loads(), DaySlot.objects.count()) == ([(TODAY, 0, 1), (TODAY, 1, 1)], 1)


@pytest.mark.django_db
def test_work_that_makes_room_for_other_work_goes_first(at: datetime) -> None:
    """Two dealers with one place each change work, while a third piece ends: nobody is ever over the limit."""
    one, other = make_dealer(capacity_per_day=1), make_dealer(capacity_per_day=2)
    take(one, "A", at=at)
    take(other, "B", "C", at=at)
    days = queries.days_of([one.pk, other.pk], at)
    slots = {"A": other.pk, "B": one.pk, "D": other.pk}
    assert actions.move(slots=slots, days=days, gone=["C"], actor="test", at=at) == {"A", "B", "D"}
    assert loads() == [(TODAY, 1, 1), (TODAY, 2, 2)]
    assert dict(DaySlot.objects.values_list("bill", "dealer")) == slots


@pytest.mark.django_db
def test_what_is_given_back_later_counts_for_the_day_it_was_of(at: datetime) -> None:
    dealer, tomorrow = make_dealer(capacity_per_day=1), at + timedelta(days=1)
    take(dealer, "A", at=at)
    take(dealer, "B", at=tomorrow)
    actions.give_back(bills=["A"], actor="test", at=tomorrow)
    assert loads() == [(TODAY, 0, 1), (TODAY + timedelta(days=1), 1, 1)]
    assert freed() == []


@pytest.mark.django_db
def test_the_day_is_shanghais(at: datetime) -> None:
    dealer = make_dealer(capacity_per_day=1)
    last, first = (datetime(2026, 11, 25, 15, 59, tzinfo=UTC), datetime(2026, 11, 25, 16, 0, tzinfo=UTC))
    assert (day_of(last), day_of(first)) == (TODAY, TODAY + timedelta(days=1))
    assert (take(dealer, "A", at=last), take(dealer, "B", at=last), take(dealer, "B", at=first)) == ({"A"}, frozenset(), {"B"})


@pytest.mark.django_db
def test_a_lower_limit_lets_nobody_in_and_a_higher_one_counts_at_once(at: datetime) -> None:
    dealer = make_dealer(capacity_per_day=3)
    take(dealer, "A", "B", at=at)
    Dealer.objects.update(capacity_per_day=1)
    assert (queries.days_of([dealer.pk], at)[dealer.pk].left, take(dealer, "C", at=at)) == (0, frozenset())
    assert loads() == [(TODAY, 2, 3)]
    Dealer.objects.update(capacity_per_day=4)
    assert take(dealer, "C", at=at) == {"C"}
    assert loads() == [(TODAY, 3, 4)]


@pytest.mark.django_db
def test_a_plan_made_on_old_figures_gets_what_is_left(at: datetime) -> None:
    dealer = make_dealer(capacity_per_day=3)
    days = queries.days_of([dealer.pk], at)
    take(dealer, "A", "B", at=at)
    slots = dict.fromkeys("CDE", dealer.pk)
    assert actions.take(slots=slots, days=days, at=at) == {"C"}
    assert loads() == [(TODAY, 3, 3)]


@pytest.mark.django_db
def test_the_constraint_is_the_net_below(at: datetime) -> None:
    dealer = make_dealer(capacity_per_day=1)
    take(dealer, "A", at=at)
    with pytest.raises(IntegrityError, match="never_take_more_work_than_allowed"), transaction.atomic():
        DayLoad.objects.update(taken=2)


@pytest.mark.django_db
def test_unused_places_are_carried_over_up_to_the_bound(at: datetime) -> None:
    dealer = make_dealer(capacity_per_day=10, carry_over_percent=50)
    assert queries.days_of([dealer.pk], at)[dealer.pk].allowed == 10  # nobody counted before: nothing is carried
    take(dealer, *(f"A{n}" for n in range(7)), at=at)
    tomorrow = at + timedelta(days=1)
    assert queries.days_of([dealer.pk], tomorrow)[dealer.pk].allowed == 13
    assert len(take(dealer, *(f"B{n}" for n in range(14)), at=tomorrow)) == 13
    assert queries.days_of([dealer.pk], at + timedelta(days=2))[dealer.pk].allowed == 10
    assert queries.days_of([dealer.pk], at + timedelta(days=3))[dealer.pk].allowed == 15


def day(last: Counted | None, *, capacity: int = 10, percent: int = 50, weekdays: str = "1234567", ahead: int = 1) -> DealerDay:
    return DealerDay(1, TODAY + timedelta(days=ahead), capacity, percent, weekdays, 0, last)


def test_a_day_off_leaves_nothing_over() -> None:
    full = Counted(TODAY - timedelta(days=1), 10, 10)  # Tuesday; then Wednesday, Thursday is asked for
    assert (day(full, weekdays="12").carried, day(full, weekdays="123").carried) == (0, 5)
    assert day(full, percent=250, ahead=20, weekdays="3").carried == 25
    assert day(full, percent=500, ahead=20, weekdays="3").carried == 30  # three Wednesdays


@given(
    st.integers(0, 50),
    st.integers(0, 500),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(1, 90),
    st.text("1234567", max_size=7),
)
def test_the_rest_is_what_carrying_day_by_day_gives(
    capacity: int, percent: int, taken: int, more: int, ahead: int, weekdays: str
) -> None:
    counted = Counted(TODAY, taken, taken + more)
    bound = capacity * percent // 100
    carried = min(bound, more)
    for n in range(1, ahead):
        if str((TODAY + timedelta(days=n)).isoweekday()) in weekdays:
            carried = min(bound, carried + capacity)
    found = day(counted, capacity=capacity, percent=percent, weekdays=weekdays, ahead=ahead)
    assert (found.carried, found.allowed) == (carried, capacity + carried)


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 3)),
    st.dictionaries(st.integers(1, 3), st.integers(0, 3)),
)
def test_first_come_first_served(slots: dict[str, int], left: dict[int, int]) -> None:
    fitting = rules.that_fit(slots, left)
    for dealer_id in (1, 2, 3):
        wanting = [bill for bill, each in slots.items() if each == dealer_id]
        assert [bill for bill, each in fitting.items() if each == dealer_id] == wanting[: left.get(dealer_id, 0)]


@pytest.mark.django_db
def test_a_new_day_frees_the_dealers_that_were_full_once(at: datetime) -> None:
    full, half = make_dealer(capacity_per_day=1), make_dealer(capacity_per_day=2)
    take(full, "A", at=at)
    take(half, "B", at=at)
    assert actions.close_days(at=at) == 0
    tomorrow = at + timedelta(days=1)
    assert (actions.close_days(at=tomorrow), actions.close_days(at=tomorrow), freed()) == (1, 0, [(full.pk, "new_day")])
    assert actions.close_days(at=at + timedelta(days=62)) == 0
    assert DaySlot.objects.count() == 0


@pytest.mark.django_db
def test_a_batch_is_counted_in_two_statements_whatever_its_size(at: datetime) -> None:
    dealers = [make_dealer(capacity_per_day=100) for _ in range(20)]
    ids = [dealer.pk for dealer in dealers]
    for size in (1, 200):
        slots = {f"{size}-{n}": ids[n % 20] for n in range(size)}
        with CaptureQueriesContext(connection) as asked:
            assert len(actions.take(slots=slots, days=queries.days_of(ids, at), at=at)) == size
        assert len(asked) == {"postgresql": 2, "sqlite": 3}[connection.vendor]


@pytest.mark.django_db
def test_own_day_is_nobody_elses(at: datetime) -> None:
    dealer = make_dealer(capacity_per_day=5)
    take(dealer, "A", at=at)
    found = queries.own_day(staff=make_staff(dealer, role="clerk"), at=at)
    assert (found.dealer_id, found.taken, found.allowed, found.left) == (dealer.pk, 1, 5, 4)
    with pytest.raises(NotFound):
        queries.own_day(staff=make_staff(role="operator"), at=at)


# The dealer's page.


def form_of(page: object) -> dict[str, object]:
    form = page.context_data["adminform"].form
    told = {name: form[name].value() for name in form.fields}
    for inline in page.context_data["inline_admin_formsets"]:
        for name in inline.formset.management_form.fields:
            told[f"{inline.formset.prefix}-{name}"] = inline.formset.management_form[name].value()
        for each in inline.formset.forms:
            told |= {each.add_prefix(name): each[name].value() for name in each.fields}
    return {name: value for name, value in told.items() if value is not None and value is not False}


@pytest.mark.django_db
def test_a_raised_limit_and_a_resumed_dealer_give_waiting_orders_another_chance(client: Client) -> None:
    dealer = make_dealer(capacity_per_day=5)
    client.force_login(make_staff())
    page = reverse("admin:dealers_dealer_change", args=[dealer.pk])

    def save(**changes: object) -> list[tuple[str, str]]:
        before = Entry.objects.count()
        told = form_of(client.get(page)) | changes
        assert client.post(page, {name: value for name, value in told.items() if value is not None}).status_code == 302
        return list(Entry.objects.order_by("id").values_list("name", "subject"))[before:]

    assert save(capacity_per_day=5) == []
    assert save(capacity_per_day=3) == []
    assert save(capacity_per_day=4) == [("capacity.freed", f"dealer:{dealer.pk}")]
    assert save(carry_over_percent=20) == [("capacity.freed", f"dealer:{dealer.pk}")]
    assert save(is_paused="on") == [("routing.changed", f"routing:dealer-{dealer.code}")]
    assert save(is_paused=None, capacity_per_day=9) == [("routing.changed", f"routing:dealer-{dealer.code}")]
    assert save(**{"areas-0-division_code": "320507"}) == [("routing.changed", f"routing:dealer-{dealer.code}")]


@pytest.mark.django_db
def test_the_dealers_page_tells_of_today_and_of_the_answers(client: Client) -> None:
    now = datetime.now(UTC)
    dealer = make_dealer("D001", capacity_per_day=10, carry_over_percent=50)
    take(dealer, "A", at=now - timedelta(days=1))
    take(dealer, "B", "C", at=now)
    Acceptance.objects.create(
        dealer=dealer, yes_weight=6000, no_weight=2000, as_of=day_of(now), accepted_count=60, refused_count=9
    )
    client.force_login(make_staff(role="operator"))
    told = client.get(reverse("admin:dealers_dealer_changelist")).text
    assert "2 / 15" in told
    assert "73.5%" in told
    told = client.get(reverse("admin:dealers_dealer_change", args=[dealer.pk])).text
    assert "今日已派 2，上限 15（每日 10 + 结转 5），还可派 13" in told
    assert "73.5% =（接单 6.0 + 先验 4.0）÷（接单 6.0 + 未接 2.0 + 先验 5.6）" in told
    assert "累计接单 60 次，拒单与超时 9 次" in told


@pytest.mark.django_db
@pytest.mark.parametrize(("role", "sees"), [("admin", 200), ("operator", 200), ("finance", 200)])
def test_who_may_see_the_day_loads(client: Client, role: str, sees: int) -> None:
    client.force_login(make_staff(role=role))
    assert client.get(reverse("admin:dealers_dayload_changelist")).status_code == sees
    client.force_login(make_staff(make_dealer()))
    assert client.get(reverse("admin:dealers_dayload_changelist")).status_code == 302
