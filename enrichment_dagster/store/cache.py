"""Remembered answers: hits, misses and errors, each for its own time; expired ones serve when a refresh fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, cast, select

from enrichment_dagster.ports import Answer, Cached, RawValue, Settlement
from enrichment_dagster.store.attempt_rows import AttemptKeyRow, has_key, key_of, rows_by_key
from enrichment_dagster.store.database import from_json, from_ms, to_ms
from enrichment_dagster.store.prepared import Query, replacement
from enrichment_dagster.store.tables import cache

_ANSWER = ("answer", "fetched_at_ms", "expires_at_ms", "stale_until_ms", "error_until_ms", "error_reason")
_ERROR = ("error_until_ms", "error_reason")
_KEY = ("provider", "purpose", "subject_key")
_OF_KEYS = Query(
    select(
        cache.c.subject_key,
        cast(cache.c.answer, Text),
        cache.c.fetched_at_ms,
        cache.c.expires_at_ms,
        cache.c.stale_until_ms,
        cache.c.error_until_ms,
    ).where(has_key(cache))
)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What is remembered of a subject."""

    cached: Cached | None  # None: only failures so far
    expires_at: datetime
    stale_until: datetime
    error_until: datetime


def read_cache(connection: Connection, keys: set[AttemptKeyRow]) -> dict[AttemptKeyRow, CacheEntry]:
    """Return what is remembered of these, fresh or not."""
    return {key: _entry(*row[1:]) for key, row in rows_by_key(connection, _OF_KEYS, keys)}


def remember(connection: Connection, settlements: Sequence[Settlement], now: datetime) -> None:
    """Keep answers, and for a short while that a call failed."""
    answers = [_answer_row(item, now) for item in settlements if _answer_seconds(item) > 0]
    errors = [
        _error_row(item, now)
        for item in settlements
        if item.answer is None and item.outcome == "error" and item.cache.error_seconds > 0
    ]
    replacement(cache, _KEY, _ANSWER).run(connection, answers)
    replacement(cache, _KEY, _ERROR).run(connection, errors)


def _answer_seconds(item: Settlement) -> float:
    if item.answer is None:
        return 0.0
    return item.cache.hit_seconds if item.answer.is_hit else item.cache.miss_seconds


def _answer_row(item: Settlement, now: datetime) -> dict[str, Any]:
    assert item.answer is not None
    expires = to_ms(now) + round(_answer_seconds(item) * 1_000)
    return {
        **_key_columns(item),
        "answer": stored_answer(item.answer),
        "fetched_at_ms": to_ms(now),
        "expires_at_ms": expires,
        "stale_until_ms": expires + round(item.cache.stale_seconds * 1_000),
        "error_until_ms": 0,
        "error_reason": "",
    }


def _error_row(item: Settlement, now: datetime) -> dict[str, Any]:
    return {
        **_key_columns(item),
        "answer": None,
        "fetched_at_ms": 0,
        "expires_at_ms": 0,
        "stale_until_ms": 0,
        "error_until_ms": to_ms(now) + round(item.cache.error_seconds * 1_000),
        "error_reason": item.reason,
    }


def _key_columns(item: Settlement) -> dict[str, str]:
    return dict(zip(_KEY, key_of(item.key), strict=True))


def stored_answer(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON."""
    return {
        "values": [[value.field, value.value, value.confidence] for value in answer.values],
        "request_id": answer.request_id,
        "ids": dict(answer.ids),
    }


def _entry(
    text: str | None, fetched_at_ms: int, expires_at_ms: int, stale_until_ms: int, error_until_ms: int
) -> CacheEntry:
    cached = None
    if text is not None and (stored := from_json(text)) is not None:
        values = tuple(RawValue(name, value, confidence) for name, value, confidence in stored["values"])
        answer = Answer(values=values, request_id=stored["request_id"], ids=stored.get("ids", {}))
        cached = Cached(answer, from_ms(fetched_at_ms))
    return CacheEntry(cached, from_ms(expires_at_ms), from_ms(stale_until_ms), from_ms(error_until_ms))
