"""Calls that are answered later: their rows, a lookup that follows a script, and settling for attempts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update
from support.clock import START

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import (
    Answer,
    AttemptKey,
    CachePolicy,
    Charge,
    Pending,
    Query,
    RawValue,
    Settlement,
    WaitingAnswer,
)
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.pending import token_hash
from enrichment_dagster.store.tables import attempts, pending_answers, pending_waiters, work

TOKEN = "tok-0123456789abcdef0123456789abcdef0123456"
ATTEMPT = "a1b2c3d4e5f60718"
EVENT = "evt_0123456789abcdef01234567"
LOOKUP = "apollo.phone"
EMAIL = "jane.doe@acme.com"
SUBJECT = f"email:{EMAIL}"
PRICE = 30_000
TTL = timedelta(hours=1)


def keep_call(
    connection: Connection,
    attempt_id: str = ATTEMPT,
    token: str = TOKEN,
    *,
    now: datetime = START,
    subject_key: str = SUBJECT,
    attempt_state: str = "pending",
    **changes: Any,
) -> None:
    """Store a call as the ledger does; ``changes`` are columns of ``pending_answers``."""
    given = {
        "lookup": LOOKUP,
        "query": {"email": EMAIL, "ids": {"apollo.person": "p-1"}},
        "request_id": "req-7",
        "state": "waiting",
        "created_at_ms": to_ms(now),
        "next_poll_at_ms": to_ms(now),
        "polls": 0,
        "expires_at_ms": to_ms(now + TTL),
        **changes,
    }
    provider, _, purpose = given["lookup"].partition(".")
    row = {
        "attempt_id": attempt_id,
        "provider": provider,
        "purpose": purpose,
        "subject_key": subject_key,
        "event_id": EVENT,
        "state": attempt_state,
        "reserved_micros": PRICE,
        "sent_at_ms": to_ms(now),
        "lease_until_ms": to_ms(now),
        "rev": 0,
    }
    connection.execute(insert(attempts), [row])
    connection.execute(insert(pending_answers), [{"attempt_id": attempt_id, "token_hash": token_hash(token), **given}])


def keep_work(
    connection: Connection, work_id: str = EVENT, missing: Mapping[str, str] | None = None, **changes: Any
) -> None:
    """Store a finished piece of work."""
    row = {
        "work_id": work_id,
        "seq": 5,
        "kind": "event",
        "event_id": EVENT,
        "event_type": "lead_created",
        "source": "hubspot",
        "lane": "standard",
        "subject_system": "hubspot",
        "subject_type": "contact",
        "subject_id": "1246978",
        "sender_event_id": "s-1",
        "attributes": {"email": EMAIL},
        "occurred_at_ms": to_ms(START) - 1_000,
        "received_at_ms": to_ms(START),
        "day": "2026-09-21",
        "state": "done",
        "due_at_ms": to_ms(START),
        "finished_at_ms": to_ms(START),
        "missing": {"phone": "pending", "title": "no_data"} if missing is None else dict(missing),
        "rev": 0,
        **changes,
    }
    connection.execute(insert(work), [row])


def keep_waiter(connection: Connection, attempt_id: str = ATTEMPT, work_id: str = EVENT) -> None:
    connection.execute(insert(pending_waiters), [{"attempt_id": attempt_id, "work_id": work_id}])


def settle_attempts(connection: Connection, settlements: Sequence[Settlement]) -> None:
    """What of the ledger's settling these tests look at."""
    for item in settlements:
        mine = update(attempts).where(attempts.c.attempt_id == item.attempt_id)
        connection.execute(mine.values(state=item.outcome, reason=item.reason, cost_micros=item.cost_micros))


def answer_works(connection: Connection) -> list[dict[str, Any]]:
    found = select(work).where(work.c.kind == "answer").order_by(work.c.work_id)
    return [dict(row) for row in connection.execute(found).mappings()]


def phone(number: str = "+14155550132", units: int = 1) -> Answer:
    return Answer((RawValue("phone", number),), units=units)


def read_phone(body: Any) -> Answer | Pending:
    """What a vendor's own reading of a callback may come to."""
    if not isinstance(body, dict) or "status" not in body:
        raise ProviderError("malformed", "no status", transient=False)
    if body["status"] == "pending":
        return Pending()
    return phone(body["phone"]) if body.get("phone") else Answer()


@dataclass
class LateLookup:
    """Polls answer with its steps in turn, the last one again and again."""

    steps: Sequence[Answer | Pending | Exception] = (Pending("req-7"),)
    name: str = LOOKUP
    price_micros: int = PRICE
    charge: Charge = Charge.ON_HIT
    cache: CachePolicy | None = None
    timeout_seconds: float = 5.0
    gives: frozenset[str] = frozenset({"phone"})
    max_units: int = 1
    bulk_size: int = 1
    calls_back: bool = True
    slow: bool = True
    polled: list[tuple[str, Query]] = field(default_factory=list)

    @property
    def provider(self) -> str:
        return self.name.partition(".")[0]

    @property
    def purpose(self) -> str:
        return self.name.partition(".")[2]

    def subject(self, query: Query) -> str | None:
        return f"email:{query.email}" if query.email else None

    async def fetch(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Answer | Pending:
        return Pending("req-7")

    async def fetch_many(self, queries: Sequence[Query], timeout_seconds: float) -> Sequence[Answer | ProviderError]:
        raise ProviderError("no_bulk_call", transient=False, maybe_sent=False)

    async def poll(self, request_id: str, query: Query, timeout_seconds: float) -> Answer | Pending:
        step = self.steps[min(len(self.polled), len(self.steps) - 1)]
        self.polled.append((request_id, query))
        if isinstance(step, Exception):
            raise step
        return step

    def read_callback(self, body: Any) -> Answer | Pending:
        return read_phone(body)


def a_waiting(attempt_id: str = ATTEMPT, **changes: Any) -> WaitingAnswer:
    given: dict[str, Any] = {
        "attempt_id": attempt_id,
        "key": AttemptKey("apollo", "phone", SUBJECT),
        "lookup": LOOKUP,
        "query": {"email": EMAIL, "ids": {"apollo.person": "p-1"}},
        "request_id": "req-7",
        "state": "waiting",
        "event_id": EVENT,
        "reserved_micros": PRICE,
        "expires_at": START + TTL,
    }
    return WaitingAnswer(**{**given, **changes})
