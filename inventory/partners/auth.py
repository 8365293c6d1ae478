"""Which system is calling, what it may do, and how often: bearer keys, rights, a limit per key."""

from typing import Any, ClassVar

from django.core.cache import cache
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from inventory.partners import actions, queries
from inventory.partners.models import ApiKey


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer yp_…`. No key, a wrong one and a revoked one get the same words."""

    def authenticate(self, request: Request) -> tuple[ApiKey, None]:
        scheme, _, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        key = queries.key_for(secret) if scheme.lower() == "bearer" else None
        if key is None:
            raise AuthenticationFailed("密钥无效")
        actions.note_use(key=key, at=timezone.now())
        return key, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class KeyScheme(OpenApiAuthenticationExtension):
    """Tells the OpenAPI schema what KeyAuthentication is."""

    target_class = KeyAuthentication
    name = "stockKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "接口密钥，由管理员在后台创建"}


class MayReadOrWrite(BasePermission):
    """Reading needs may_read and posting needs may_write; what shows everybody's stock is for HQ's keys only."""

    def has_permission(self, request: Request, view: Any) -> bool:
        key = request.user
        if not isinstance(key, ApiKey) or (getattr(view, "is_for_hq", False) and key.dealer_id is not None):
            return False
        return key.may_read if request.method in SAFE_METHODS else key.may_write


class KeyThrottle(BaseThrottle):
    """At most 30 calls in 3 seconds per key: ten a second with bursts of thirty.

    Counted in the shared cache; without Redis every web process counts for itself.
    """

    calls: ClassVar[int] = 30
    seconds: ClassVar[int] = 3

    def allow_request(self, request: Request, view: Any) -> bool:
        window, passed = divmod(timezone.now().timestamp(), self.seconds)
        self._wait = self.seconds - passed
        counter = f"stock-api:{request.user.pk}:{int(window)}"
        if cache.add(counter, 1, 2 * self.seconds):
            return True
        try:
            return cache.incr(counter) <= self.calls
        except ValueError:  # thrown out of a full cache between the two lines
            return True

    def wait(self) -> float:
        return self._wait
