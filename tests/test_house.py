"""The law of the house (ARCHITECTURE.md), read from the source with the standard library's ast.

`faults(root)` is the judge. The first test lets it judge this project; the others plant one fault
of each kind in a temporary copy, to prove that each law bites.
"""

import ast
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPS = ("dealers", "inventory", "orders", "bots")
DOORS = 5  # every module of oms_project that is not named below
FLOORS = {
    "bots": 4,
    "orders": 3,
    "inventory": 2,
    "dealers": 1,
    "oms_project.journal": 0,
    "oms_project.events": -1,
    "oms_project.money": -1,
    "oms_project.refusal": -1,
    "oms_project.sealed": -1,
    "oms_project.readonly": -1,
    "oms_project.parsing": -1,
}
ROOMS = {  # from the ground up; rooms on one step do not know each other
    "dealers": [
        {"divisions"},
        {"directory"},
        {"capacity", "acceptance"},
        {"settlement", "insights"},
        {"desk"},
        {"management"},
    ],
    "inventory": [
        {"items"},
        {"ledger"},
        {"reservations"},
        {"locks", "arrivals"},
        {"pool"},
        {"replenishment"},
        {"exchange", "partners"},
        {"management"},
    ],
    "orders": [
        {"catalogue"},
        {"lifecycle"},
        {"intake", "review", "work"},
        {"rulesets"},
        {"receivers", "routing"},
        {"offers", "scarcity"},
        {"dispatch"},
        {"placing", "promise", "rebalance", "forecast", "stranded"},
        {"fulfilment", "simulation"},
        {"live"},
        {"desk"},
        {"aftersales"},
        {"management"},
    ],
}
SHELVES = {
    "rules": 0,
    "models": 1,
    "statements": 2,
    "queries": 3,
    "adapters": 3,
    "actions": 4,
    "admin": 5,
    "webhooks": 5,
    "urls": 6,
}
BOTS = {  # what is not named is a door
    "models": 0,
    "statements": 1,
    "cards": 1,
    "grammar": 1,
    "transports": 1,
    "queries": 2,
    "actions": 3,
    "commands": 3,
    "urls": 5,
}
BOTS_DOOR = 4
PURE = {"rules", "cards", "grammar", "gazetteer", "reading", "text", "writing"}
PURE |= {"faults", "table", "plans", "market", "shelves", "chains", "prices", "batch"}
PURE |= {"run", "tally", "sketch"}
IMPURE = {"django", "rest_framework", "channels", "wechatpy", "django_q", "requests", "random", "time"}
DATABASE_SHELVES = {"models", "statements", "queries", "actions"}
NETWORK = ("requests", "httpx", "aiohttp", "socket", "http.client", "urllib.request", "wechatpy", "websockets")
MAY_USE_NETWORK = {"adapters", "transports", "delivery", "bell", "tasks", "serve", "demo", "commands"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "core"}
LONGEST_FILE, LONGEST_FUNCTION = 600, 60
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Module:
    """One source file; `parts` is its dotted name."""

    path: Path
    parts: tuple[str, ...]
    house: "House"

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text())

    @property
    def name(self) -> str:
        return ".".join(self.parts)

    @cached_property
    def imports(self) -> list[str]:
        """Absolute targets, with the imported name as the last part of `from … import …`."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found += [f"{node.module}.{alias.name}" for alias in node.names]
        return [self.house.origin(target) for target in found]


class House:
    """All modules below a root, without migrations."""

    def __init__(self, root: Path) -> None:
        self.contents: dict[str, str] = {}
        self.modules = [
            Module(path, path.relative_to(root).with_suffix("").parts, self)
            for top in (*APPS, "oms_project")
            for path in sorted((root / top).rglob("*.py"))
            if "migrations" not in path.parts
        ]
        for app in APPS:
            for node in ast.walk(ast.parse((root / app / "models.py").read_text())):
                if isinstance(node, ast.ImportFrom):
                    self.contents |= {f"{app}.models.{alias.name}": f"{node.module}.{alias.name}" for alias in node.names}

    def origin(self, target: str) -> str:
        """Where a name that a table of contents passes on really comes from."""
        return self.contents.get(target, target)


def floor(name: str) -> int | None:
    """How high a dotted name lives; None for what is not ours."""
    for place, height in FLOORS.items():
        if name == place or name.startswith(f"{place}."):
            return height
    return DOORS if name.startswith("oms_project.") else None


def looks_up_to_a_floor(module: Module) -> Iterator[str]:
    mine = floor(module.name)
    for target in module.imports:
        theirs = floor(target)
        if mine is not None and theirs is not None and theirs > mine:
            yield f"looks up to {target}"


def looks_up_to_a_room(module: Module) -> Iterator[str]:
    app, *rest = module.parts
    if app not in ROOMS or len(rest) < 2:
        return
    steps = {room: height for height, step in enumerate(ROOMS[app]) for room in step}
    mine = rest[0]
    if mine not in steps:
        yield f"lives in {mine}, which is no room of {app}"
        return
    for target in module.imports:
        parts = target.split(".")
        if parts[0] == app and parts[1] in steps and parts[1] != mine and steps[parts[1]] >= steps[mine]:
            yield f"looks up to the room {target}"
        if parts[0] == app and len(parts) > 2 and parts[1] == mine and len(rest) == 2:
            here, there = SHELVES.get(rest[1]), SHELVES.get(parts[2])
            if here is not None and there is not None and there > here:
                yield f"looks up to the shelf {target}"


def looks_up_in_bots(module: Module) -> Iterator[str]:
    if module.parts[0] != "bots" or len(module.parts) < 2 or module.parts[1] in {"apps", "__init__"}:
        return
    mine = BOTS.get(module.parts[1], BOTS_DOOR)
    for target in module.imports:
        parts = target.split(".")
        if parts[0] == "bots" and len(parts) > 1 and BOTS.get(parts[1], BOTS_DOOR) > mine:
            yield f"looks up to {target}"


def opens_a_transaction(module: Module) -> Iterator[str]:
    if "actions" in module.parts or module.name.startswith(("oms_project.journal.", "oms_project.demo.")):
        return
    for target in module.imports:
        if target.startswith("django.db.transaction"):
            yield "imports transaction"


def runs_on_commit(module: Module) -> Iterator[str]:
    if module.name.startswith("oms_project.journal."):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr == "on_commit":
            yield "uses on_commit; record an event instead"


def uses_the_network(module: Module) -> Iterator[str]:
    for target in module.imports:
        if any(target == name or target.startswith(f"{name}.") for name in NETWORK) and not MAY_USE_NETWORK & set(module.parts):
            yield f"uses the network ({target})"


def belongs_elsewhere(module: Module) -> Iterator[str]:
    for target in module.imports:
        top = target.split(".")[0]
        if top == "django_q" and module.parts[:2] != ("oms_project", "tasks"):
            yield "imports django_q outside of oms_project/tasks"
        if top == "wechatpy" and module.parts[:2] != ("bots", "transports"):
            yield "imports wechatpy outside of bots/transports"


def reads_tables_of_others(module: Module) -> Iterator[str]:
    if module.parts[0] != "bots":
        return
    foreign = {target.split(".")[-1] for target in module.imports if ".models." in target and not target.startswith("bots.")}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in {"objects", "_default_manager"}:
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if name in foreign:
                yield f"reads {name}.objects; ask a query of its room"


def is_not_pure(module: Module) -> Iterator[str]:
    if not PURE & set(module.parts[-2:]) or module.parts[0] == "oms_project":
        return
    for target in module.imports:
        parts = target.split(".")
        if parts[0] in IMPURE or (parts[0] in APPS and DATABASE_SHELVES & set(parts)):
            yield f"must stay pure, but imports {target}"


def asks_the_clock(module: Module) -> Iterator[str]:
    if not (PURE | {"actions"}) & set(module.parts[-2:]):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"now", "today", "utcnow"}:
            yield "asks the clock; take `at` from the door"


def imports_in_a_function(module: Module) -> Iterator[str]:
    for function in ast.walk(module.tree):
        if isinstance(function, FUNCTIONS):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield f"imports inside of a function (line {node.lineno})"


def imports_relatively(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield "imports relatively"


def is_too_long(module: Module) -> Iterator[str]:
    lines = module.path.read_text().count("\n")
    if lines > LONGEST_FILE:
        yield f"has {lines} lines"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"{node.name} has {length} lines"


def is_badly_named(module: Module) -> Iterator[str]:
    if FORBIDDEN_NAMES & set(module.parts):
        yield "is named after nothing in particular"


def hides_code_in_init(module: Module) -> Iterator[str]:
    if module.parts[-1] == "__init__" and module.tree.body:
        yield "is not empty"


def overrides_save(module: Module) -> Iterator[str]:
    if module.parts[-1] != "models":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef) and node.name == "save":
            yield "overrides save(); write in an action"


Law = Callable[[Module], Iterator[str]]
LAWS: tuple[Law, ...] = (
    looks_up_to_a_floor,
    looks_up_to_a_room,
    looks_up_in_bots,
    opens_a_transaction,
    runs_on_commit,
    uses_the_network,
    belongs_elsewhere,
    reads_tables_of_others,
    is_not_pure,
    asks_the_clock,
    imports_in_a_function,
    imports_relatively,
    is_too_long,
    is_badly_named,
    hides_code_in_init,
    overrides_save,
)


def faults(root: Path) -> list[str]:
    """Every breach of the law below a root, as 'module: what'."""
    return sorted({f"{module.name}: {what}" for module in House(root).modules for law in LAWS for what in law(module)})


def test_the_project_keeps_the_law() -> None:
    assert faults(ROOT) == []


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source to plant faults in."""
    root = tmp_path_factory.mktemp("house")
    for top in (*APPS, "oms_project"):
        ignored = shutil.ignore_patterns("__pycache__", "migrations", "static", "templates", "locale")
        shutil.copytree(ROOT / top, root / top, ignore=ignored)
    return root


PLANTED: list[tuple[Law, str, str, str]] = [
    (looks_up_to_a_floor, "dealers/directory/planted.py", "from orders.models import Order", "looks up to orders."),
    (looks_up_to_a_floor, "oms_project/journal/planted.py", "import dealers.models", "looks up to dealers.models"),
    (
        looks_up_to_a_floor,
        "oms_project/money.py",
        "from oms_project.journal.bell import bell",
        "looks up to oms_project.journal.bell.bell",
    ),
    (looks_up_to_a_floor, "bots/planted.py", "from oms_project import wiring", "looks up to oms_project.wiring"),
    (
        looks_up_to_a_room,
        "orders/lifecycle/planted.py",
        "from orders.dispatch import actions",
        "looks up to the room orders.dispatch.actions",
    ),
    (
        looks_up_to_a_room,
        "orders/lifecycle/planted.py",
        "from orders.models import Offer",
        "looks up to the room orders.offers.models.Offer",
    ),
    (
        looks_up_to_a_room,
        "dealers/settlement/planted.py",
        "from dealers.insights import queries",
        "looks up to the room dealers.insights.queries",
    ),
    (looks_up_to_a_room, "orders/elsewhere/planted.py", "", "lives in elsewhere, which is no room of orders"),
    (
        looks_up_to_a_room,
        "orders/routing/queries.py",
        "from orders.routing import actions",
        "looks up to the shelf orders.routing.actions",
    ),
    (
        looks_up_to_a_room,
        "orders/routing/rules.py",
        "from orders.routing import queries",
        "looks up to the shelf orders.routing.queries",
    ),
    (looks_up_in_bots, "bots/commands.py", "from bots import delivery", "looks up to bots.delivery"),
    (looks_up_in_bots, "bots/transports/planted.py", "from bots import commands", "looks up to bots.commands"),
    (opens_a_transaction, "orders/routing/queries.py", "from django.db import transaction", "imports transaction"),
    (opens_a_transaction, "bots/planted.py", "from django.db.transaction import atomic", "imports transaction"),
    (runs_on_commit, "orders/routing/actions.py", "from django.db import transaction as t\nt.on_commit(print)", "uses on_commit"),
    (uses_the_network, "orders/routing/actions.py", "import requests", "uses the network (requests)"),
    (
        uses_the_network,
        "orders/routing/queries.py",
        "from urllib.request import urlopen",
        "uses the network (urllib.request.urlopen)",
    ),
    (belongs_elsewhere, "bots/planted.py", "from django_q.tasks import async_task", "imports django_q outside"),
    (belongs_elsewhere, "orders/intake/adapters/planted.py", "from wechatpy import WeChatClient", "imports wechatpy outside"),
    (reads_tables_of_others, "bots/planted.py", "from orders.models import Offer\nOffer.objects.all()", "reads Offer.objects"),
    (
        is_not_pure,
        "orders/routing/rules.py",
        "from django.utils import timezone",
        "must stay pure, but imports django.utils.timezone",
    ),
    (is_not_pure, "bots/cards.py", "from bots.models import CardMessage", "must stay pure, but imports bots.models.CardMessage"),
    (is_not_pure, "orders/routing/rules.py", "import random", "must stay pure, but imports random"),
    (asks_the_clock, "orders/routing/actions.py", "from django.utils import timezone\ntimezone.now()", "asks the clock"),
    (imports_in_a_function, "orders/routing/actions.py", "def plant():\n    import json", "imports inside of a function"),
    (imports_relatively, "orders/routing/actions.py", "from . import models", "imports relatively"),
    (is_too_long, "orders/routing/actions.py", "\n" * 601, "has 6"),
    (is_too_long, "orders/routing/actions.py", "def plant():" + "\n    pass" * 60, "plant has 61 lines"),
    (is_badly_named, "orders/routing/helpers.py", "", "is named after nothing in particular"),
    (hides_code_in_init, "orders/routing/__init__.py", "ready = True", "is not empty"),
    (overrides_save, "orders/routing/models.py", "class P:\n    def save(self):\n        pass", "overrides save()"),
]


@pytest.mark.parametrize(
    ("law", "file", "fault", "said"), PLANTED, ids=[f"{law.__name__}-{n}" for n, (law, *_) in enumerate(PLANTED)]
)
def test_each_law_bites(copy: Path, law: Law, file: str, fault: str, said: str) -> None:
    path = copy / file
    before = path.read_text() if path.exists() else None
    clean = judge(copy, path, law)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{before or ''}\n{fault}\n")
    found = judge(copy, path, law)
    if before is None:
        path.unlink()
    else:
        path.write_text(before)
    assert [line for line in found if said in line and line not in clean], found


def judge(root: Path, path: Path, law: Law) -> list[str]:
    return [line for module in House(root).modules if module.path == path for line in law(module)]


def test_every_law_has_a_planted_fault() -> None:
    assert {law for law, *_ in PLANTED} == set(LAWS)
