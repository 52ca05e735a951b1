"""Answers owed to callers that asked asynchronously (``ports.OwedAnswers``).

``next_at_ms`` is due time and lease in one: who moves it has the answer in hand until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, exists, select, update

from enrichment_dagster.clock import Clock
from enrichment_dagster.ports import OwedAnswer
from enrichment_dagster.store.committer import GroupCommitter, each
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.rows import dialect_insert
from enrichment_dagster.store.tables import api_callbacks, work

KEEP = timedelta(days=7)
"""How long an ended answer is kept, and how long an event may take to end."""

_OPEN = ("waiting", "owed")
_MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class _Note:
    event_id: str
    caller: str
    url: str


@dataclass(frozen=True, slots=True)
class _Change:
    event_id: str
    state: str
    reason: str
    next_at_ms: int


class SqlOwedAnswers:
    """Owed answers, shared by all processes on one store."""

    def __init__(self, committer: GroupCommitter, clock: Clock) -> None:
        self._committer = committer
        self._clock = clock
        self._note = each(self._note_one)
        self._claim = each(self._claim_some)
        self._change = each(_change_one)
        self._forget = each(_forget_all)

    async def note(self, event_id: str, caller: str, url: str) -> None:
        """Note that an answer will be owed; the first note of an event counts."""
        await self._committer.submit(self._note, _Note(event_id, caller, url))

    async def claim(self, limit: int, lease_seconds: float) -> list[OwedAnswer]:
        """Lease answers of events that have ended and that are due, the longest due first."""
        return await self._committer.submit(self._claim, (limit, round(lease_seconds * 1_000)))

    async def close(self, event_id: str, state: str, reason: str = "") -> None:
        """Note the end of an answer, and the try that it took."""
        await self._committer.submit(self._change, _Change(event_id, state, reason, self._now_ms()))

    async def put_off(self, event_id: str, reason: str, delay_seconds: float) -> None:
        """Count a try that failed, and say when the next one is due."""
        next_at_ms = self._now_ms() + round(delay_seconds * 1_000)
        await self._committer.submit(self._change, _Change(event_id, "owed", reason, next_at_ms))

    async def forget_old(self) -> int:
        """Delete what is past its time; returns how many."""
        return await self._committer.submit(self._forget, to_ms(self._clock.now() - KEEP))

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())

    def _note_one(self, connection: Connection, note: _Note) -> None:
        now_ms = self._now_ms()
        row = {
            "event_id": note.event_id,
            "caller": note.caller,
            "url": note.url,
            "state": "waiting",
            "tries": 0,
            "last_reason": "",
            "next_at_ms": now_ms,
            "created_at_ms": now_ms,
        }
        connection.execute(dialect_insert(connection, api_callbacks).values(row).on_conflict_do_nothing())

    def _claim_some(self, connection: Connection, wanted: tuple[int, int]) -> list[OwedAnswer]:
        (limit, lease_ms), now_ms = wanted, self._now_ms()
        ended = exists().where(work.c.work_id == api_callbacks.c.event_id, work.c.state == "done")
        due = (
            select(api_callbacks)
            .where(api_callbacks.c.state.in_(_OPEN), api_callbacks.c.next_at_ms <= now_ms, ended)
            .order_by(api_callbacks.c.next_at_ms)
            .limit(limit)
            .with_for_update(skip_locked=True)  # SQLite knows no such thing, and has one writer
        )
        rows = connection.execute(due).mappings().all()
        if rows:
            mine = api_callbacks.c.event_id.in_([row["event_id"] for row in rows])
            lease = update(api_callbacks).where(mine)
            connection.execute(lease.values(state="owed", next_at_ms=now_ms + lease_ms))
        return [OwedAnswer(row["event_id"], row["caller"], row["url"], row["tries"]) for row in rows]


def _change_one(connection: Connection, change: _Change) -> None:
    columns = api_callbacks.c
    values: dict[str, Any] = {
        "state": change.state,
        "last_reason": change.reason[:_MAX_REASON],
        "tries": columns.tries + 1,
        "next_at_ms": change.next_at_ms,
    }
    still_open = (columns.event_id == change.event_id) & columns.state.in_(_OPEN)
    connection.execute(update(api_callbacks).where(still_open).values(values))


def _forget_all(connection: Connection, before_ms: int) -> int:
    return connection.execute(delete(api_callbacks).where(api_callbacks.c.created_at_ms < before_ms)).rowcount
