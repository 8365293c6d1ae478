"""Who is calling: signed bearer tokens, bound to the session version of a person.

A token is Django's own timestamped signature over {staff id, session version}; raising the
version (logout, role change, admin) ends every session of that person at once. Wrong passwords
are counted per phone and per address, in the shared cache.
"""

import hashlib
from datetime import timedelta

from django.contrib.auth.hashers import check_password, make_password
from django.core import signing
from django.core.cache import cache
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from dealers.directory import queries as directory
from dealers.models import Staff

TOKEN_LIFE = timedelta(days=7)
_SALT = "yipan.miniapp.token"
_WINDOW_SECONDS = 900
_MAX_WRONG = {"phone": 5, "address": 30}
# Checked when the phone is unknown, so that knowing a phone cannot be told by the clock.
_NOBODY = make_password("nobody")


def issue_token(staff: Staff) -> str:
    """A bearer token for a person; valid for TOKEN_LIFE unless the session version rises."""
    return signing.dumps([staff.pk, staff.session_version], salt=_SALT)


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`."""

    def authenticate(self, request: Request) -> tuple[Staff, None] | None:
        scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            staff_id, version = signing.loads(token, salt=_SALT, max_age=TOKEN_LIFE)
        except signing.BadSignature as error:
            raise AuthenticationFailed("登录已失效，请重新登录") from error
        staff = directory.staff_by_id(staff_id)
        if staff is None or not staff.is_active or staff.session_version != version:
            raise AuthenticationFailed("登录已失效，请重新登录")
        return staff, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BearerScheme(OpenApiAuthenticationExtension):
    """Tells the OpenAPI schema what BearerAuthentication is."""

    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class HasRole(BasePermission):
    """Lets in the roles named by the view's `roles`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, Staff) and request.user.role in getattr(view, "roles", frozenset())


def check_credentials(*, phone: str, password: str, address: str) -> Staff:
    """The person with this phone and password. Raises AuthenticationFailed, or Throttled after too many wrong ones."""
    keys = {kind: _counter(kind, value) for kind, value in (("phone", phone), ("address", address))}
    for kind, key in keys.items():
        if cache.get(key, 0) >= _MAX_WRONG[kind]:
            raise Throttled(wait=_WINDOW_SECONDS)
    staff = directory.staff_by_phone(phone)
    right = check_password(password, staff.password if staff else _NOBODY)
    if staff is None or not right or not staff.is_active:
        for key in keys.values():
            cache.add(key, 0, _WINDOW_SECONDS)
            cache.incr(key)
        raise AuthenticationFailed("手机号或密码不对")
    cache.delete(keys["phone"])
    return staff


def _counter(kind: str, value: str) -> str:
    return f"login:{kind}:{hashlib.sha256(value.encode()).hexdigest()[:32]}"
