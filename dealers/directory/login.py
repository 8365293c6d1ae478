"""Who may come in: phone and password with counted attempts, and what each role may do in the admin.

Wrong passwords are counted per phone and per address in the shared cache, for every door alike.
"""

import hashlib
from fnmatch import fnmatch
from functools import lru_cache
from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.hashers import check_password, make_password
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from dealers.directory import queries
from dealers.directory.models import Staff
from oms_project.refusal import Refusal

WINDOW_SECONDS = 900
MAX_WRONG = {"phone": 5, "address": 30}

# What HQ's people may do in the admin; the administrator is a superuser. Patterns of "app.action_model".
# "inventory.view_[!a]*" is every table of stock but the keys of other systems (apikey).
ROLE_PERMISSIONS: dict[str, tuple[str, ...]] = {
    "operator": (
        "orders.view_*", "orders.change_order", "orders.change_orderhold", "orders.change_fulfillmentorder",
        "orders.change_offer", "orders.change_sourcemessage", "orders.change_forecast", "orders.change_strandedorder",
        "journal.view_*", "bots.view_*",
        "orders.add_simulation", "orders.change_simulation",
        "inventory.view_[!a]*", "inventory.change_level", "inventory.*_stocklock", "inventory.add_transfer",
        "inventory.change_transfer", "inventory.add_stockfile", "inventory.change_stockfile", "inventory.add_incoming",
        "inventory.change_incoming",
        "dealers.view_dealer", "dealers.view_division*", "dealers.view_township", "dealers.view_skill",
        "dealers.view_servicearea", "dealers.view_dayload",
    ),
    "finance": (
        "dealers.view_*", "dealers.add_splitrule", "dealers.change_splitrule", "dealers.change_statement", "journal.view_entry",
    ),
}  # fmt: skip


class WrongCredentials(Refusal):
    """No such person, a wrong password, or somebody who may not log in: they look the same."""


class TooManyAttempts(Refusal):
    """Too many wrong passwords for this phone or from this address lately."""


def check_credentials(*, phone: str, password: str, address: str) -> Staff:
    """The person with this phone and password. Raises WrongCredentials or TooManyAttempts."""
    keys = {kind: _counter(kind, value) for kind, value in (("phone", phone), ("address", address))}
    if any(cache.get(key, 0) >= MAX_WRONG[kind] for kind, key in keys.items()):
        raise TooManyAttempts("尝试次数过多，请 15 分钟后再试")
    staff = queries.staff_by_phone(phone)
    # An unknown phone costs as much time as a known one, so that the clock tells nothing.
    right = check_password(password, staff.password if staff else _nobody_password())
    if staff is None or not right or not staff.is_active:
        for key in keys.values():
            cache.add(key, 0, WINDOW_SECONDS)
            cache.incr(key)
        raise WrongCredentials("手机号或密码不对")
    cache.delete(keys["phone"])
    return staff


def _counter(kind: str, value: str) -> str:
    return f"login:{kind}:{hashlib.sha256(value.encode()).hexdigest()[:32]}"


@lru_cache(maxsize=1)
def _nobody_password() -> str:
    return make_password("nobody")


class RoleBackend(BaseBackend):
    """Django's authentication backend over the two tables above."""

    def authenticate(self, request: HttpRequest | None, username: str = "", password: str = "", **fields: Any) -> Staff | None:
        address = request.META.get("REMOTE_ADDR", "") if request else ""
        try:
            return check_credentials(phone=username or fields.get("phone", ""), password=password, address=address)
        except TooManyAttempts as refusal:
            raise PermissionDenied from refusal
        except WrongCredentials:
            return None

    def get_user(self, user_id: int) -> Staff | None:
        staff = queries.staff_by_id(user_id)
        return staff if staff and staff.is_active else None

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        if not user_obj.is_active or not isinstance(user_obj, Staff):
            return False
        return any(fnmatch(perm, pattern) for pattern in ROLE_PERMISSIONS.get(user_obj.role, ()))

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        if not user_obj.is_active or not isinstance(user_obj, Staff):
            return False
        return any(pattern.startswith(f"{app_label}.") for pattern in ROLE_PERMISSIONS.get(user_obj.role, ()))
