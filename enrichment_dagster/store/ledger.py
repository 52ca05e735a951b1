"""Paid calls, durable before they are sent: cache, singleflight between processes, and bill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, bindparam, select, tuple_, update

from enrichment_dagster.clock import Clock
from enrichment_dagster.ports import Answer, AttemptKey, Cached, InFlight, Opened, RawValue, Settlement
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.database import from_ms, to_ms
from enrichment_dagster.store.rows import Row, dialect_insert, next_rev
from enrichment_dagster.store.tables import MAX_REQUEST_ID, attempts, cache

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Begin:
    key: AttemptKey
    event_id: str
    reserve_micros: int
    lease_seconds: float


class SqlLedger:
    """``ports.AttemptLedger`` on the operational store."""

    def __init__(self, committer: GroupCommitter, clock: Clock) -> None:
        self._committer = committer
        self._clock = clock
        # Bound once: the committer groups requests by handler.
        self._begin_handler = self._begin_all
        self._settle_handler = self._settle_all

    async def begin(
        self, key: AttemptKey, *, event_id: str, reserve_micros: int, lease_seconds: float
    ) -> Opened | Cached | InFlight:
        """Return a fresh cached answer, or make the attempt row durable, or say that another worker is at it."""
        return await self._committer.submit(self._begin_handler, _Begin(key, event_id, reserve_micros, lease_seconds))

    async def settle(self, settlement: Settlement) -> None:
        """Store how the attempt ended and remember its answer."""
        await self._committer.submit(self._settle_handler, settlement)

    def _begin_all(self, connection: Connection, items: Sequence[_Begin]) -> Sequence[Opened | Cached | InFlight]:
        now = self._clock.now()
        keys = {_key(item.key) for item in items}
        cached = _read_cache(connection, keys, now)
        wanted = [item for item in items if _key(item.key) not in cached]
        opened = _open_attempts(connection, wanted, now)
        busy = _in_flight(connection, {_key(item.key) for item in wanted} - set(opened))
        answers: list[Opened | Cached | InFlight] = []
        for item in items:
            key = _key(item.key)
            if key in cached:
                answers.append(cached[key])
            elif key in opened:
                answers.append(Opened(opened[key]))
                # A second request of the same group waits for the first.
                busy[key] = InFlight(now + timedelta(seconds=item.lease_seconds))
                del opened[key]
            else:
                answers.append(busy.get(key, InFlight(now)))
        return answers

    def _settle_all(self, connection: Connection, items: Sequence[Settlement]) -> list[None]:
        now_ms, rev = to_ms(self._clock.now()), next_rev(connection)
        connection.execute(_SETTLE, [_settled(item, now_ms, rev) for item in items])
        remembered = [
            _cache_row(item.key, item.answer, item.cache_seconds, now_ms)
            for item in items
            if item.answer is not None and item.cache_seconds > 0
        ]
        if remembered:
            make = dialect_insert(connection, cache)
            names = ("answer", "fetched_at_ms", "expires_at_ms")
            statement = make.on_conflict_do_update(
                index_elements=["provider", "purpose", "subject_key"],
                set_={name: make.excluded[name] for name in names},
            )
            connection.execute(statement, list({_row_key(row): row for row in remembered}.values()))
        return [None] * len(items)


_SETTLE = (
    update(attempts)
    .where(
        attempts.c.attempt_id == bindparam("b_attempt_id"),
        # A late answer still settles a call that was given up; an IN list would not go with many rows at once.
        (attempts.c.state == "sent") | (attempts.c.state == "unknown"),
    )
    .values(
        state=bindparam("b_state"),
        reason=bindparam("b_reason"),
        http_status=bindparam("b_http_status"),
        request_id=bindparam("b_request_id"),
        cost_micros=bindparam("b_cost_micros"),
        latency_ms=bindparam("b_latency_ms"),
        settled_at_ms=bindparam("b_settled_at_ms"),
        rev=bindparam("b_rev"),
    )
)


def _settled(item: Settlement, now_ms: int, rev: int) -> dict[str, Any]:
    return {
        "b_attempt_id": item.attempt_id,
        "b_state": item.outcome,
        "b_reason": item.reason,
        "b_http_status": item.http_status,
        "b_request_id": item.answer.request_id[:MAX_REQUEST_ID] if item.answer else "",
        "b_cost_micros": item.cost_micros,
        "b_latency_ms": item.latency_ms,
        "b_settled_at_ms": now_ms,
        "b_rev": rev,
    }


def _key(key: AttemptKey) -> _Key:
    return (key.provider, key.purpose, key.subject_key)


def _row_key(row: Row) -> _Key:
    return (row["provider"], row["purpose"], row["subject_key"])


def _read_cache(connection: Connection, keys: set[_Key], now: datetime) -> dict[_Key, Cached]:
    if not keys:
        return {}
    columns = tuple_(cache.c.provider, cache.c.purpose, cache.c.subject_key)
    statement = select(cache).where(columns.in_(sorted(keys)), cache.c.expires_at_ms > to_ms(now))
    return {_row_key(row): _cached(row) for row in connection.execute(statement).mappings()}


def _cached(row: Row) -> Cached:
    stored = row["answer"]
    values = tuple(RawValue(field, value, confidence) for field, value, confidence in stored["values"])
    return Cached(Answer(values=values, request_id=stored["request_id"]), from_ms(row["fetched_at_ms"]))


def _cache_row(key: AttemptKey, answer: Answer, seconds: float, now_ms: int) -> dict[str, Any]:
    return {
        "provider": key.provider,
        "purpose": key.purpose,
        "subject_key": key.subject_key,
        "answer": {
            "values": [[value.field, value.value, value.confidence] for value in answer.values],
            "request_id": answer.request_id,
        },
        "fetched_at_ms": now_ms,
        "expires_at_ms": now_ms + round(seconds * 1_000),
    }


def _open_attempts(connection: Connection, items: Sequence[_Begin], now: datetime) -> dict[_Key, str]:
    """Insert an attempt for each key that nobody has in flight; returns the attempt ids by key."""
    if not items:
        return {}
    rev = next_rev(connection)
    _give_up_lost(connection, now, rev)
    # The first to ask for a key gets the attempt, so it stands under their event.
    rows = {_key(item.key): _attempt_row(item, now, rev) for item in reversed(items)}
    statement = dialect_insert(connection, attempts).on_conflict_do_nothing().returning(attempts.c.attempt_id)
    inserted = set(connection.execute(statement, list(rows.values())).scalars())
    return {key: row["attempt_id"] for key, row in rows.items() if row["attempt_id"] in inserted}


def _give_up_lost(connection: Connection, now: datetime, rev: int) -> None:
    """Mark calls whose worker died as unknown: they may have been served, so their cost stays held."""
    statement = (
        update(attempts)
        .where(attempts.c.state == "sent", attempts.c.lease_until_ms < to_ms(now))
        .values(
            state="unknown",
            reason="worker_lost",
            cost_micros=attempts.c.reserved_micros,
            settled_at_ms=to_ms(now),
            rev=rev,
        )
    )
    connection.execute(statement)


def _attempt_row(item: _Begin, now: datetime, rev: int) -> dict[str, Any]:
    return {
        "attempt_id": uuid4().hex,
        "provider": item.key.provider,
        "purpose": item.key.purpose,
        "subject_key": item.key.subject_key,
        "event_id": item.event_id,
        "state": "sent",
        "reserved_micros": item.reserve_micros,
        "sent_at_ms": to_ms(now),
        "lease_until_ms": to_ms(now) + round(item.lease_seconds * 1_000),
        "rev": rev,
    }


def _in_flight(connection: Connection, keys: set[_Key]) -> dict[_Key, InFlight]:
    if not keys:
        return {}
    columns = tuple_(attempts.c.provider, attempts.c.purpose, attempts.c.subject_key)
    statement = select(attempts).where(columns.in_(sorted(keys)), attempts.c.state == "sent")
    return {_row_key(row): InFlight(from_ms(row["lease_until_ms"])) for row in connection.execute(statement).mappings()}
