"""The API's answers as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from enrichment_dagster.domain.fields import FieldValue
from enrichment_dagster.engine.routing_result import RoutingResult
from enrichment_dagster.journey.forms import iso, usd

_LARGEST = 2**53 - 1  # what every JSON reader takes exactly; larger numbers become text


def encode(content: Any) -> bytes:
    """Return JSON, whatever a provider's values hold."""
    try:
        return orjson.dumps(content, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:  # broken characters, large numbers: rare, and looking for them is dear
        return orjson.dumps(_plain(content))


def answer_body(result: RoutingResult) -> dict[str, Any]:
    """Return what was found within the deadline."""
    moments = {value.fetched_at for value in result.values.values()}  # a provider's values have one together
    written = {moment: iso(moment) for moment in moments}
    return {
        "event_id": result.event_id,
        "status": result.status,
        "reason": result.reason,
        "data": {name: value.value for name, value in result.values.items()},
        "provenance": {name: _provenance(value, written[value.fetched_at]) for name, value in result.values.items()},
        "missing_fields": {name: str(reason) for name, reason in result.missing.items()},
        "routing": result.decision.as_data(),
        "cost_usd": usd(result.cost_micros),
        "latency_ms": round(result.latency_ms, 1),
    }


def _provenance(value: FieldValue, fetched_at: str | None) -> dict[str, Any]:
    return {
        "provider": value.provider,
        "fetched_at": fetched_at,
        "confidence": value.confidence,
        "stale": value.stale,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {str(_plain(str(name))): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int) and abs(value) > _LARGEST:
        return str(value)
    return value
