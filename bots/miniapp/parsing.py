"""Request bodies: JSON of a bounded size, with no field that we do not know."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from bots.miniapp.problems import TooLarge

MAX_BODY = 64 * 1024


class SmallJSONParser(JSONParser):
    """Reads at most 64 kB; strict JSON (no NaN), UTF-8, an object at the top."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        raw = stream.read(MAX_BODY + 1)
        if len(raw) > MAX_BODY:
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
