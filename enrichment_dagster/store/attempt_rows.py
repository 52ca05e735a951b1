"""Rows of paid calls: finding those in flight, opening new ones, giving up those whose worker died."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, select, text, tuple_, update

from enrichment_dagster.ports import AttemptKey, AttemptRequest
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.rows import Row
from enrichment_dagster.store.tables import IN_FLIGHT, attempts

LATE_ANSWER_DAYS = 30
"""For how long a late answer is waited for: Apollo forgets a request after 30 days."""

AttemptKeyRow = tuple[str, str, str]
"""Provider, purpose, subject key."""


def key_of(key: AttemptKey) -> AttemptKeyRow:
    """Return a key as rows are looked up by it."""
    return (key.provider, key.purpose, key.subject_key)


def row_key(row: Row) -> AttemptKeyRow:
    """Return the key of a row of attempts or of the cache."""
    return (row["provider"], row["purpose"], row["subject_key"])


def open_attempts(connection: Connection, keys: set[AttemptKeyRow]) -> dict[AttemptKeyRow, Row]:
    """Return the attempts that are in flight or pending, by key."""
    columns = tuple_(attempts.c.provider, attempts.c.purpose, attempts.c.subject_key)
    statement = select(attempts).where(columns.in_(sorted(keys)), text(IN_FLIGHT))
    return {row_key(row): row for row in connection.execute(statement).mappings()}


def give_up_lost(connection: Connection, now: datetime, rev: int) -> None:
    """Mark calls whose worker died as unknown: they may have been served, so their cost stays held."""
    statement = (
        update(attempts)
        .where(text(IN_FLIGHT), attempts.c.state == "sent", attempts.c.lease_until_ms < to_ms(now))
        .values(
            state="unknown",
            reason="worker_lost",
            cost_micros=attempts.c.reserved_micros,
            settled_at_ms=to_ms(now),
            rev=rev,
        )
    )
    connection.execute(statement)


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


def token_hash(token: str) -> str:
    """Return what is stored of a callback token."""
    return hashlib.sha256(token.encode()).hexdigest()
