"""Calls that are answered later: found by their token, settled once, and the work that takes the answer up.

Every transaction here that makes work takes the revision first: its counter stays locked until commit, so an answer and
the conclusion of the event that waits for it come one after the other, and neither misses the other.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from enrichment_dagster.clock import Clock
from enrichment_dagster.ports import AttemptKey, Settlement, WaitingAnswer
from enrichment_dagster.store.committer import GroupCommitter, each
from enrichment_dagster.store.database import Database, from_ms, to_ms
from enrichment_dagster.store.pending_work import make_answer_work
from enrichment_dagster.store.rows import Row, dialect_insert, next_rev
from enrichment_dagster.store.tables import attempts, pending_answers, pending_waiters

OPEN_STATES = ("opened", "waiting")
"""An answer may come: also before the call itself has returned."""

Settle = Callable[[Connection, Sequence[Settlement]], object]
"""Settles attempts inside a transaction: their rows, money, cache and the providers' health."""

_EXPIRE_AT_ONCE = 200  # the rest waits for the next round: webhooks share the database


def token_hash(token: str) -> str:
    """Return what is stored of a callback token. It has 256 random bits, so a plain hash can't be turned back."""
    return hashlib.sha256(token.encode()).hexdigest()


def register_waiters(connection: Connection, awaited: Sequence[tuple[str, str]], rev: int, now_ms: int) -> None:
    """Note which work waits for which attempt, as (attempt id, work id); repeats change nothing.

    Belongs into the terminal transaction, after the work's rows have their end: where the answer was quicker than the
    conclusion, the work that takes it up is made at once, from the fields that are missing there.
    """
    if not awaited:
        return
    rows = [{"attempt_id": attempt_id, "work_id": work_id} for attempt_id, work_id in dict.fromkeys(awaited)]
    connection.execute(dialect_insert(connection, pending_waiters).on_conflict_do_nothing(), rows)
    attempt_ids = list(dict.fromkeys(attempt_id for attempt_id, _ in awaited))
    ended = select(pending_answers.c.attempt_id).where(
        pending_answers.c.attempt_id.in_(attempt_ids), pending_answers.c.state.not_in(OPEN_STATES)
    )
    for attempt_id in connection.execute(ended).scalars().all():
        make_answer_work(connection, attempt_id, rev, now_ms)


@dataclass(frozen=True, slots=True)
class _Completion:
    attempt_id: str
    settlement: Settlement


@dataclass(frozen=True, slots=True)
class _PutOff:
    attempt_id: str
    next_poll_at: datetime


class PendingStore:
    """``ports.PendingStore`` on the operational store. ``settle`` is the ledger's: it works in our transaction."""

    def __init__(self, database: Database, committer: GroupCommitter, settle: Settle, clock: Clock) -> None:
        self._database = database
        self._committer = committer
        self._settle = settle
        self._clock = clock
        # Bound once: the committer groups requests by handler.
        self._complete = each(self._complete_one)
        self._put_off = each(_put_off_one)
        self._expire = each(self._expire_some)

    async def find(self, token: str) -> WaitingAnswer | None:
        """Return the call that the token was made for, whatever its state."""
        wanted = _WAITING.where(pending_answers.c.token_hash == token_hash(token))
        found = await asyncio.to_thread(self._read, wanted)
        return found[0] if found else None

    async def complete(self, waiting: WaitingAnswer, settlement: Settlement) -> bool:
        """Settle the call and make the work that takes its answer up; False: it was over before."""
        return await self._committer.submit(self._complete, _Completion(waiting.attempt_id, settlement))

    async def due_polls(self, limit: int) -> list[WaitingAnswer]:
        """Return calls whose answer is to be asked for now, the longest due first."""
        now_ms = to_ms(self._clock.now())
        due = _WAITING.where(
            pending_answers.c.state == "waiting",
            pending_answers.c.next_poll_at_ms <= now_ms,
            pending_answers.c.expires_at_ms > now_ms,
        )
        return await asyncio.to_thread(self._read, due.order_by(pending_answers.c.next_poll_at_ms).limit(limit))

    async def put_off(self, attempt_id: str, next_poll_at: datetime) -> None:
        """Count a poll that brought nothing, and say when the next one is due."""
        await self._committer.submit(self._put_off, _PutOff(attempt_id, next_poll_at))

    async def expire(self) -> int:
        """Give up calls that nobody answered in time. What they may have cost stays held."""
        return await self._committer.submit(self._expire, None)

    def _read(self, statement: Any) -> list[WaitingAnswer]:
        with self._database.read() as connection:
            return [_waiting(row) for row in connection.execute(statement).mappings()]

    def _complete_one(self, connection: Connection, item: _Completion) -> bool:
        now_ms, rev = to_ms(self._clock.now()), next_rev(connection)
        if not _close(connection, item.attempt_id, now_ms):
            return False
        self._settle(connection, [item.settlement])
        make_answer_work(connection, item.attempt_id, rev, now_ms)
        return True

    def _expire_some(self, connection: Connection, _: None) -> int:
        now_ms = to_ms(self._clock.now())
        late = (pending_answers.c.state.in_(OPEN_STATES)) & (pending_answers.c.expires_at_ms <= now_ms)
        if connection.execute(select(pending_answers.c.attempt_id).where(late).limit(1)).first() is None:
            return 0
        rev = next_rev(connection)
        oldest = select(pending_answers.c.attempt_id).where(late).order_by(pending_answers.c.expires_at_ms)
        attempt_ids = list(connection.execute(oldest.limit(_EXPIRE_AT_ONCE)).scalars())
        _give_up(connection, attempt_ids, now_ms, rev)
        for attempt_id in attempt_ids:
            make_answer_work(connection, attempt_id, rev, now_ms)
        return len(attempt_ids)


def _close(connection: Connection, attempt_id: str, now_ms: int) -> bool:
    """Mark a call as answered. Only one of several that try at once succeeds, in whatever process they are."""
    # A call that brought its answer itself was paid for then; what its callback URL gets after that is a repeat.
    settled = select(attempts.c.attempt_id).where(
        attempts.c.attempt_id == attempt_id, attempts.c.state.in_(("hit", "miss"))
    )
    statement = (
        update(pending_answers)
        .where(
            pending_answers.c.attempt_id == attempt_id,
            pending_answers.c.state.in_(OPEN_STATES),
            pending_answers.c.expires_at_ms > now_ms,
            ~settled.exists(),
        )
        .values(state="answered", next_poll_at_ms=None)
    )
    return connection.execute(statement).rowcount == 1


def _give_up(connection: Connection, attempt_ids: Sequence[str], now_ms: int, rev: int) -> None:
    connection.execute(
        update(pending_answers)
        .where(pending_answers.c.attempt_id.in_(attempt_ids))
        .values(state="expired", next_poll_at_ms=None)
    )
    connection.execute(
        update(attempts)
        .where(attempts.c.attempt_id.in_(attempt_ids), attempts.c.state.in_(("sent", "pending")))
        .values(
            state="unknown",
            reason="no_late_answer",
            cost_micros=attempts.c.reserved_micros,
            settled_at_ms=now_ms,
            rev=rev,
        )
    )


def _put_off_one(connection: Connection, item: _PutOff) -> None:
    connection.execute(
        update(pending_answers)
        .where(pending_answers.c.attempt_id == item.attempt_id, pending_answers.c.state == "waiting")
        .values(next_poll_at_ms=to_ms(item.next_poll_at), polls=pending_answers.c.polls + 1)
    )


_WAITING = select(
    pending_answers,
    *(attempts.c[name] for name in ("provider", "purpose", "subject_key", "event_id", "reserved_micros")),
).join(attempts, attempts.c.attempt_id == pending_answers.c.attempt_id)


def _waiting(row: Row) -> WaitingAnswer:
    return WaitingAnswer(
        attempt_id=row["attempt_id"],
        key=AttemptKey(row["provider"], row["purpose"], row["subject_key"]),
        lookup=row["lookup"],
        query=row["query"],
        request_id=row["request_id"],
        state=row["state"],
        event_id=row["event_id"],
        reserved_micros=row["reserved_micros"],
        expires_at=from_ms(row["expires_at_ms"]),
        polls=row["polls"],
    )
