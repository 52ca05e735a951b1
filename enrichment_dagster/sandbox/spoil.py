"""Spoils answers: truncated JSON, wrong types, far too long bodies."""

from dataclasses import replace
from typing import Any

import orjson

from enrichment_dagster.sandbox.wire import JSON_TYPE, Response


def spoiled(response: Response, kind: str, huge_body_bytes: int) -> Response:
    """The answer as this kind of fault leaves it; a kind that does not touch bodies changes nothing."""
    if kind == "malformed":
        return _malformed(response)
    if kind == "wrong_type" and response.body and JSON_TYPE in response.headers:
        return replace(response, body=orjson.dumps(wrong_types(orjson.loads(response.body))))
    if kind == "huge_body" and response.body:
        return replace(response, body=response.body + b" " * max(0, huge_body_bytes - len(response.body)))
    return response


def _malformed(response: Response) -> Response:
    """The first half of the body; where there is none, half an object."""
    if not response.body:
        return Response(200, b'{"resu', (*response.headers, JSON_TYPE))
    return replace(response, body=response.body[: max(1, len(response.body) // 2)])


def wrong_types(value: Any) -> Any:
    """The same keys with every leaf of another type, and every list a text."""
    if isinstance(value, dict):
        return {name: wrong_types(item) for name, item in value.items()}
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return "list"
    if value is None:
        return {}
    return str(value)
