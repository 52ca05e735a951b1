"""Batches as rows: how they are made, handed over, freed and closed. Each function runs inside a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, update

from enrichment_dagster.domain.dispatch import LEASE, MAX_CRASHES, SPLIT_SIZES, BatchState, split_size
from enrichment_dagster.domain.echoes import CAUSALITY_DEPTH
from enrichment_dagster.domain.eligibility import COOLDOWN, OUT_OF_ORDER
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.ports import BatchHandOver, WorkKind
from enrichment_dagster.store.database import from_ms
from enrichment_dagster.store.pump import COPIED
from enrichment_dagster.store.rows import next_rev
from enrichment_dagster.store.tables import batches, dead_letters, work

_PASSED_OVER = (COOLDOWN, OUT_OF_ORDER, CAUSALITY_DEPTH)
"""Reasons of events that ended without a run and are replayed all the same."""


def open_batches() -> Select[Any]:
    """Select the open batches with the number of their events that have no end yet (``open_work``)."""
    remaining = (
        select(func.count()).where(work.c.batch_id == batches.c.batch_id, work.c.state == "assigned").scalar_subquery()
    )
    return select(batches, remaining.label("open_work")).where(batches.c.state == "open")


def shares_batch(size: int, max_batch: int) -> ColumnElement[bool]:
    """Select the work that goes into batches of this size: by the number of workers that died with it."""
    last = len(SPLIT_SIZES) - 1
    crashes = [n for n in range(len(SPLIT_SIZES)) if split_size(n, max_batch) == size]
    some = work.c.crashes.in_(crashes)
    return some | (work.c.crashes >= last) if last in crashes else some


def lease_to(connection: Connection, batch_id: str, owner: str, now_ms: int) -> None:
    """Give a batch to a run as if that had started it."""
    until = now_ms + round(LEASE.total_seconds() * 1_000)
    mine = update(batches).where(batches.c.batch_id == batch_id)
    connection.execute(mine.values(owner=owner, started_attempt=batches.c.attempt, lease_until_ms=until))


def batch_state(row: Any) -> BatchState:
    """Return a row of ``open_batches``, its run not looked up yet."""
    return BatchState(
        batch_id=row["batch_id"],
        attempt=row["attempt"],
        open_work=row["open_work"],
        started=row["started_attempt"] == row["attempt"],
        emitted_at=from_ms(row["emitted_at_ms"]),
        lease_until=from_ms(row["lease_until_ms"]),
        owner=row["owner"],
    )


def new_batch(connection: Connection, event_type: str, day: str, rows: Sequence[Any], now_ms: int) -> BatchHandOver:
    """Make a batch of these rows of work, which are locked."""
    batch_id = uuid4().hex[:16]
    oldest_ms = min(row["received_at_ms"] for row in rows)
    connection.execute(
        insert(batches).values(
            batch_id=batch_id,
            event_type=event_type,
            day=day,
            state="open",
            size=len(rows),
            oldest_ms=oldest_ms,
            created_at_ms=now_ms,
            emitted_at_ms=now_ms,
        )
    )
    taken = update(work).where(work.c.work_id.in_([row["work_id"] for row in rows]))
    connection.execute(taken.values(state="assigned", batch_id=batch_id, rev=next_rev(connection)))
    only = rows[0]["event_id"] if len(rows) == 1 else ""
    return BatchHandOver(batch_id, event_type, day, 1, len(rows), from_ms(oldest_ms), only)


def hand_over(connection: Connection, batch_id: str, now_ms: int, step: int) -> BatchHandOver:
    """Mark a batch as handed to Dagster now; ``step`` is 1 where it is the next attempt."""
    statement = (
        update(batches)
        .where(batches.c.batch_id == batch_id)
        .values(attempt=batches.c.attempt + step, emitted_at_ms=now_ms)
        .returning(batches)
    )
    row = connection.execute(statement).mappings().one()
    only = ""
    if row["size"] == 1:
        only = connection.execute(select(work.c.event_id).where(work.c.batch_id == batch_id)).scalar() or ""
    return BatchHandOver(
        batch_id, row["event_type"], row["day"], row["attempt"], row["size"], from_ms(row["oldest_ms"]), only
    )


def close_batches(connection: Connection, batch_ids: Iterable[str], state: str, now_ms: int) -> None:
    """Close those of the batches that are open."""
    statement = update(batches).where(batches.c.batch_id.in_(list(batch_ids)), batches.c.state == "open")
    connection.execute(statement.values(state=state, finished_at_ms=now_ms))


def release_batch(connection: Connection, batch_id: str, now_ms: int, rev: int) -> None:
    """Make a batch's open events due again, in smaller company; an event that was alone too often is dead."""
    mine = (work.c.batch_id == batch_id) & (work.c.state == "assigned")
    left = connection.execute(select(work).where(mine)).mappings().all()
    if len(left) == 1 and left[0]["crashes"] + 1 >= MAX_CRASHES:
        _bury(connection, left[0], now_ms, rev)
        return
    connection.execute(
        update(work)
        .where(mine)
        .values(state="due", batch_id=None, crashes=work.c.crashes + 1, due_at_ms=now_ms, rev=rev)
    )


def _bury(connection: Connection, row: Any, now_ms: int, rev: int) -> None:
    connection.execute(
        update(work)
        .where(work.c.work_id == row["work_id"])
        .values(
            state="done",
            outcome=str(Outcome.DEAD),
            reason="worker_crashes",
            crashes=row["crashes"] + 1,
            finished_at_ms=now_ms,
            rev=rev,
        )
    )
    connection.execute(
        insert(dead_letters).values(
            work_id=row["work_id"],
            event_id=row["event_id"],
            event_type=row["event_type"],
            component="run",
            reason="worker_crashes",
            detail=f"{row['crashes'] + 1} workers died with this event in their batch, the last ones with it alone",
            created_at_ms=now_ms,
            rev=rev,
        )
    )


def replay_day(connection: Connection, event_type: str, day: str, now_ms: int) -> None:
    """Add a piece of work for every finished event of the day; the old outcomes stay as they are.

    Not for what ended without a run, unless a replay passes over its reason: what the door refused (a page that does
    not matter, a soft bounce) is no more wanted now, and what our own writes caused would start the loop again.
    """
    finished = select(work).where(
        work.c.event_type == event_type,
        work.c.day == day,
        work.c.kind == str(WorkKind.EVENT),
        work.c.state == "done",
        work.c.outcome != str(Outcome.DEAD),
        (work.c.run_id != "") | work.c.reason.in_(_PASSED_OVER),
    )
    rows = connection.execute(finished).mappings().all()
    if not rows:
        return
    rev, nonce = next_rev(connection), uuid4().hex[:8]
    replays = [
        {
            **{name: row[name] for name in (*COPIED, "seq", "day")},
            "work_id": f"{row['event_id']}/refresh-{nonce}",
            "kind": str(WorkKind.REFRESH),
            "state": "due",
            "due_at_ms": now_ms,
            "rev": rev,
        }
        for row in rows
    ]
    connection.execute(insert(work), replays)
