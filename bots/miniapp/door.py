"""The common manners of the dealers' HTTP API.

Lists are pages by falling id: `before` is the last id seen, `next_before` the next value or null.
"""

from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.views import APIView

from bots.miniapp.auth import HasRole
from dealers.models import Staff

EVERYBODY = frozenset({"admin", "operator", "finance", "owner", "clerk", "installer"})
ANSWERING = frozenset({"admin", "operator", "owner", "clerk"})
WORKING = frozenset({"admin", "operator", "owner", "clerk", "installer"})
COUNTING = frozenset({"admin", "finance", "owner"})
ASKING = frozenset({"owner", "clerk"})


class Door(APIView):
    """The common manners of all views: roles, strict input, pages."""

    permission_classes: list[Any] = [HasRole]
    roles: ClassVar[frozenset[str]] = frozenset()

    @property
    def staff(self) -> Staff:
        """The person who calls; HasRole has let them in."""
        return cast(Staff, self.request.user)

    def read(self, shape: type[Serializer[Any]], data: Any) -> dict[str, Any]:
        """The validated input. Raises ValidationError naming each wrong or unknown field."""
        serializer = shape(data=data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def show(self, shape: type[BaseSerializer[Any]], thing: Any, code: int = status.HTTP_200_OK) -> Response:
        return Response(shape(thing, context={"request": self.request}).data, status=code)

    def page(self, rows: QuerySet[Any], shape: type[BaseSerializer[Any]], asked: dict[str, Any]) -> Response:
        """One page of rows by falling id."""
        if asked["before"]:
            rows = rows.filter(id__lt=asked["before"])
        found = list(rows.order_by("-id")[: asked["limit"] + 1])
        more = len(found) > asked["limit"]
        found = found[: asked["limit"]]
        results = shape(found, many=True, context={"request": self.request}).data
        return Response({"results": results, "next_before": found[-1].id if more else None})


PAGED = [OpenApiParameter("before", int), OpenApiParameter("limit", int)]
