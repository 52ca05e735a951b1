"""Rows of paid calls: finding those in flight, opening new ones, giving up those whose worker died."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Table, bindparam, select, text, update

from enrichment_dagster.ports import AttemptKey, AttemptRequest
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.pending import token_hash
from enrichment_dagster.store.prepared import Change, Query
from enrichment_dagster.store.tables import IN_FLIGHT, attempts

LATE_ANSWER_DAYS = 30
"""For how long a late answer is waited for: Apollo forgets a request after 30 days."""

AttemptKeyRow = tuple[str, str, str]
"""Provider, purpose, subject key."""


def key_of(key: AttemptKey) -> AttemptKeyRow:
    """Return a key as rows are looked up by it."""
    return (key.provider, key.purpose, key.subject_key)


def has_key(table: Table) -> ColumnElement[bool]:
    """Return the condition of a statement that ``rows_by_key`` executes: a row has one of the keys."""
    columns = table.c
    return (
        (columns.provider == bindparam("b_provider"))
        & (columns.purpose == bindparam("b_purpose"))
        & columns.subject_key.in_(bindparam("b_subjects", expanding=True))
    )


def rows_by_key(
    connection: Connection, query: Query, keys: Iterable[AttemptKeyRow]
) -> Iterator[tuple[AttemptKeyRow, tuple[Any, ...]]]:
    """Yield the rows that have one of these keys, each with its key; their first column is the subject.

    Subjects by provider and purpose, and not tuples: SQLite searches an index for one tuple, for several it reads the
    whole table (measured: 41 ms for 100 keys in 20,000 rows, this way 1 ms).
    """
    subjects: dict[tuple[str, str], list[str]] = {}
    for provider, purpose, subject_key in sorted(keys):
        subjects.setdefault((provider, purpose), []).append(subject_key)
    for (provider, purpose), found in subjects.items():
        for row in query.rows(connection, b_provider=provider, b_purpose=purpose, b_subjects=found):
            yield (provider, purpose, row[0]), row


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """A call without an end."""

    attempt_id: str
    state: str
    lease_until_ms: int

    def is_lost(self, now_ms: int) -> bool:
        """Say whether its worker has died."""
        return self.state == "sent" and self.lease_until_ms < now_ms


_OPEN = Query(
    select(attempts.c.subject_key, attempts.c.attempt_id, attempts.c.state, attempts.c.lease_until_ms).where(
        has_key(attempts), text(IN_FLIGHT)
    )
)


def open_attempts(connection: Connection, keys: set[AttemptKeyRow]) -> dict[AttemptKeyRow, OpenAttempt]:
    """Return the attempts that are in flight or pending, by key."""
    return {key: OpenAttempt(*row[1:]) for key, row in rows_by_key(connection, _OPEN, keys)}


_GIVE_UP = Change(
    update(attempts)
    .where(text(IN_FLIGHT), attempts.c.state == "sent", attempts.c.lease_until_ms < bindparam("b_now_ms"))
    .values(
        state="unknown",
        reason="worker_lost",
        cost_micros=attempts.c.reserved_micros,
        settled_at_ms=bindparam("b_now_ms"),
        rev=bindparam("b_rev"),
    )
)


def give_up_lost(connection: Connection, now: datetime, rev: int) -> None:
    """Mark calls whose worker died as unknown: they may have been served, so their cost stays held."""
    _GIVE_UP.run(connection, [{"b_now_ms": to_ms(now), "b_rev": rev}])


def attempt_row(request: AttemptRequest, send_at: datetime, now: datetime, rev: int) -> dict[str, Any]:
    """Return the row of a call that may be sent."""
    return {
        "attempt_id": uuid4().hex,
        "provider": request.key.provider,
        "purpose": request.key.purpose,
        "subject_key": request.key.subject_key,
        "event_id": request.event_id,
        "state": "sent",
        "role": request.role,
        "reserved_micros": request.reserve_micros,
        "sent_at_ms": to_ms(now),
        "lease_until_ms": to_ms(send_at) + round(request.lease_seconds * 1_000),
        "rev": rev,
    }


def pending_row(attempt_id: str, lookup: str, query: Mapping[str, Any], now: datetime) -> tuple[str, dict[str, Any]]:
    """Return a new callback token and the row that knows it by its hash only."""
    token = secrets.token_urlsafe(32)
    row = {
        "attempt_id": attempt_id,
        "token_hash": token_hash(token),
        "lookup": lookup,
        "query": dict(query),
        "request_id": "",
        "state": "opened",
        "created_at_ms": to_ms(now),
        "next_poll_at_ms": None,
        "polls": 0,
        "expires_at_ms": to_ms(now + timedelta(days=LATE_ANSWER_DAYS)),
    }
    return token, row
