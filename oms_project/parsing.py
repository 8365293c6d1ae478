"""Request bodies of every API: JSON of a bounded size, with no field that we do not know.

Both floors that speak JSON (dealers' people above, partners' systems in inventory) read it here.
"""

from collections.abc import Mapping
from typing import IO, Any, ClassVar

import orjson
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser


class TooLarge(APIException):
    """More bytes than this door takes."""

    status_code = 413
    default_code = "too_large"
    default_detail = "内容过大"


class SmallJSONParser(JSONParser):
    """Reads at most `most_bytes` (64 kB); strict JSON (no NaN), UTF-8, an object at the top."""

    most_bytes: ClassVar[int] = 64 * 1024

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        raw = stream.read(self.most_bytes + 1)
        if len(raw) > self.most_bytes:
            raise TooLarge
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ParseError from error
        if not isinstance(body, dict):
            raise ParseError
        return body


class StrictSerializer(serializers.Serializer):
    """A serializer that refuses fields it does not know, by name."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            raise serializers.ValidationError({name: "未知字段" for name in unknown})
        return super().to_internal_value(data)
