"""Who is calling: signed bearer tokens, bound to the session version of a person.

A token is Django's own timestamped signature over {staff id, session version}; raising the
version (logout, role change, admin) ends every session of that person at once.
"""

from datetime import timedelta
from typing import Any

from django.core import signing
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from dealers.directory import queries as directory
from dealers.models import Staff

TOKEN_LIFE = timedelta(days=7)
_SALT = "yipan.miniapp.token"


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

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, Staff) and request.user.role in getattr(view, "roles", frozenset())
