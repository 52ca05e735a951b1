"""The tick's side of the operational store: pump the journal, look at a lane, assign and free batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.dispatch import BatchState, Claim, DueGroup, split_size
from enrichment_dagster.domain.echoes import OwnMarks
from enrichment_dagster.domain.eligibility import InboxRules
from enrichment_dagster.ports import TICK, BatchHandOver, Glance, WorkKind
from enrichment_dagster.store.batches import (
    batch_state,
    close_batches,
    hand_over,
    lease_to,
    new_batch,
    open_batches,
    release_batch,
    replay_day,
    shares_batch,
)
from enrichment_dagster.store.database import Database, from_ms, to_ms
from enrichment_dagster.store.inbox import CANDIDATE, in_turn
from enrichment_dagster.store.prepared import Query
from enrichment_dagster.store.pump import NO_MARKS, behind, pump_into, watermark
from enrichment_dagster.store.rows import WATERMARK, Row, dialect_insert, next_rev
from enrichment_dagster.store.tables import batches, beats, counters, outbox, work

_DELIVERY_PATIENCE_SECONDS = 10.0


class DispatchStore:
    """What sensors need of the operational store. Synchronous: a tick runs in a thread of its own."""

    def __init__(
        self,
        journal_database: Database,
        ops: Database,
        clock: Clock,
        rules: Mapping[str, InboxRules] | None = None,
        marks: OwnMarks = NO_MARKS,
    ) -> None:
        """``rules`` say, by event type, how events of one subject stand to each other; without them none waits."""
        self._journal = journal_database
        self._ops = ops
        self._clock = clock
        self._rules = rules or {}
        self._marks = marks

    # --- journal -> work ---------------------------------------------------------------------------------------------

    def backlog(self) -> int:
        """Return how many journal rows the pump has not copied yet."""
        with self._ops.read() as connection:
            copied_to = watermark(connection)
        return behind(self._journal, copied_to)

    def pump(self) -> int:
        """Copy journal rows past the watermark into ``work``; returns how many. Any number of callers may race."""
        copied = 0
        while self.backlog() and (step := self._pump_once()):
            copied += step
        return copied

    def _pump_once(self) -> int:
        with self._ops.write() as connection:
            return pump_into(connection, self._journal, self._clock.now(), self._rules, self._marks)

    # --- a lane as a tick sees it ------------------------------------------------------------------------------------

    def glance(self, event_types: Sequence[str]) -> Glance:
        """Say whether there is anything to do in any of these lanes: two short queries, whatever waits."""
        with self._ops.read() as connection:
            ((copied_to, *oldest),) = _glance(tuple(event_types)).rows(connection)
        now_ms = to_ms(self._clock.now())
        due = {
            name: from_ms(at) for name, at in zip(event_types, oldest, strict=True) if at is not None and at <= now_ms
        }
        return Glance(behind(self._journal, int(copied_to)), due)

    def claims(self, patience: Mapping[str, timedelta]) -> list[Claim]:
        """Return what these lanes wait for; those without due events are left out."""
        now = self._clock.now()
        due = (
            select(work.c.event_type, func.count(), func.min(work.c.due_at_ms))
            .where(work.c.state == "due", work.c.event_type.in_(patience), work.c.due_at_ms <= to_ms(now))
            .group_by(work.c.event_type)
        )
        unstarted = case((batches.c.started_attempt != batches.c.attempt, 1), else_=0)
        in_hand = (
            select(batches.c.event_type, func.count(), func.sum(unstarted))
            .where(batches.c.state == "open", batches.c.event_type.in_(patience))
            .group_by(batches.c.event_type)
        )
        with self._ops.read() as connection:
            waiting = connection.execute(due).all()
            if not waiting:
                return []
            held = {name: (count, queued) for name, count, queued in connection.execute(in_hand)}
            ticks = _ticks(connection, [name for name, *_ in waiting])
        return [
            Claim(
                event_type=name,
                count=count,
                oldest_due_at=from_ms(oldest),
                queued=held.get(name, (0, 0))[1] > 0,
                at_work=held.get(name, (0, 0))[0] > 0,
                watched=name in ticks and now - ticks[name] <= patience[name],
            )
            for name, count, oldest in waiting
        ]

    def unstarted_batches(self, event_types: Sequence[str], since: datetime) -> list[BatchState]:
        """Return the batches that were handed to Dagster since then and whose runs have not started."""
        statement = open_batches().where(
            batches.c.event_type.in_(event_types),
            batches.c.started_attempt != batches.c.attempt,
            batches.c.emitted_at_ms >= to_ms(since),
        )
        with self._ops.read() as connection:
            return [batch_state(row) for row in connection.execute(statement).mappings()]

    def due_groups(self, event_type: str, max_batch: int) -> list[DueGroup]:
        """Return the due events of a lane by day and batch size limit."""
        statement = (
            select(work.c.day, work.c.crashes, func.count(), func.min(work.c.due_at_ms))
            .where(work.c.state == "due", work.c.event_type == event_type, work.c.due_at_ms <= to_ms(self._clock.now()))
            .group_by(work.c.day, work.c.crashes)
        )
        with self._ops.read() as connection:
            return [
                DueGroup(day, split_size(crashes, max_batch), count, from_ms(oldest))
                for day, crashes, count, oldest in connection.execute(statement)
            ]

    def open_batches(self, event_type: str) -> list[BatchState]:
        """Return the lane's open batches, their runs not looked up yet."""
        statement = open_batches().where(batches.c.event_type == event_type)
        with self._ops.read() as connection:
            return [batch_state(row) for row in connection.execute(statement).mappings()]

    def oldest_due_age(self, event_type: str) -> timedelta:
        """Return how long the lane's oldest due event has been due; zero when nothing is due."""
        now = self._clock.now()
        statement = select(func.min(work.c.due_at_ms)).where(work.c.state == "due", work.c.event_type == event_type)
        with self._ops.read() as connection:
            oldest = connection.execute(statement).scalar()
        return timedelta() if oldest is None else max(timedelta(), now - from_ms(oldest))

    def forgotten_deliveries(self) -> int:
        """Return how many deliveries have been due for a while and are in nobody's hands."""
        now_ms = to_ms(self._clock.now())
        statement = select(func.count()).where(
            outbox.c.state == "owed",
            outbox.c.next_at_ms <= now_ms - round(_DELIVERY_PATIENCE_SECONDS * 1_000),
            outbox.c.lease_until_ms < now_ms,
        )
        with self._ops.read() as connection:
            return int(connection.execute(statement).scalar_one())

    # --- batches -----------------------------------------------------------------------------------------------------

    def assign(self, event_type: str, group: DueGroup, max_batch: int) -> BatchHandOver | None:
        """Make a batch of a group's oldest due events; None when another tick was quicker."""
        with self._ops.write() as connection:
            now_ms = to_ms(self._clock.now())
            due = (
                select(*CANDIDATE)
                .where(
                    work.c.state == "due",
                    work.c.event_type == event_type,
                    work.c.due_at_ms <= now_ms,
                    work.c.day == group.day,
                    shares_batch(group.max_size, max_batch),
                )
                .order_by(work.c.due_at_ms, work.c.seq)
                .limit(group.max_size)
            )
            rows = self._in_turn(connection, event_type, due)
            return new_batch(connection, event_type, group.day, rows, now_ms) if rows else None

    def _in_turn(self, connection: Connection, event_type: str, due: Select[Any]) -> list[Row]:
        """Return the work that has its turn; as long as some of what is due turns out to be over, look at the next."""
        rules = self._rules.get(event_type)
        while True:
            rows = connection.execute(due.with_for_update(skip_locked=True)).mappings().all()
            if rules is None:
                return list(rows)
            taken, over = in_turn(connection, event_type, rules, rows, self._clock.now())
            if taken or not over:
                return taken

    def assign_day(
        self, event_type: str, day: str, *, refresh: bool, limit: int, owner: str = ""
    ) -> BatchHandOver | None:
        """Make a batch of a day's work; ``refresh`` replays the day's finished events too.

        Events that were put off are taken before they are due, follow-ups are not: their provider needs the time.

        ``owner`` is the run that asks: the batch is born with its lease, or a tick would hand it to Dagster as well.
        Events that workers died with come last and in small batches, as in a lane.
        """
        with self._ops.write() as connection:
            now_ms = to_ms(self._clock.now())
            if refresh:
                replay_day(connection, event_type, day, now_ms)
            in_time = (work.c.kind != str(WorkKind.GAP_FILL)) | (work.c.due_at_ms <= now_ms)
            mine = (work.c.state == "due") & (work.c.event_type == event_type) & (work.c.day == day) & in_time
            crashes = connection.execute(select(func.min(work.c.crashes)).where(mine)).scalar()
            if crashes is None:
                return None
            size = split_size(crashes, limit)
            due = select(*CANDIDATE).where(mine, shares_batch(size, limit)).order_by(work.c.seq).limit(size)
            rows = self._in_turn(connection, event_type, due)
            batch = new_batch(connection, event_type, day, rows, now_ms) if rows else None
            if batch and owner:
                lease_to(connection, batch.batch_id, owner, now_ms)
            return batch

    def finish(self, batch_ids: Sequence[str]) -> None:
        """Close batches whose events all have a final state."""
        with self._ops.write() as connection:
            close_batches(connection, batch_ids, "finished", to_ms(self._clock.now()))

    def release(self, batch_ids: Sequence[str]) -> None:
        """Free batches whose worker died: their open events become due again, in smaller company each time."""
        if not batch_ids:
            return
        with self._ops.write() as connection:
            # Batches before the counter, as in a run's terminal transaction: in another order they could deadlock.
            ids = select(batches.c.batch_id).where(batches.c.batch_id.in_(batch_ids)).order_by(batches.c.batch_id)
            connection.execute(ids.with_for_update())
            now_ms, rev = to_ms(self._clock.now()), next_rev(connection)
            for batch_id in batch_ids:
                release_batch(connection, batch_id, now_ms, rev)
            close_batches(connection, batch_ids, "released", now_ms)

    def hand_over(self, batch_ids: Sequence[str], *, next_attempt: Sequence[str] = ()) -> list[BatchHandOver]:
        """Mark batches as handed to Dagster now and return what their run requests say."""
        again = set(next_attempt)
        with self._ops.write() as connection:
            now_ms = to_ms(self._clock.now())
            return [hand_over(connection, batch_id, now_ms, int(batch_id in again)) for batch_id in batch_ids]

    # --- signs of life -----------------------------------------------------------------------------------------------

    def beat(self, name: str, **detail: Any) -> None:
        """Note that a process or loop is alive."""
        row = {"name": name, "at_ms": to_ms(self._clock.now()), "detail": detail}
        with self._ops.write() as connection:
            make = dialect_insert(connection, beats).values(row)
            connection.execute(make.on_conflict_do_update(index_elements=["name"], set_=row))

    def last_beat(self, name: str) -> datetime | None:
        """Return when a process or loop was last alive."""
        with self._ops.read() as connection:
            at_ms = connection.execute(select(beats.c.at_ms).where(beats.c.name == name)).scalar()
        return None if at_ms is None else from_ms(at_ms)


@cache
def _glance(event_types: tuple[str, ...]) -> Query:
    """Return the query of the watermark and of each type's oldest due event: each is one step in an index."""
    oldest = [
        select(func.min(work.c.due_at_ms)).where(work.c.state == "due", work.c.event_type == name).scalar_subquery()
        for name in event_types
    ]
    return Query(select(counters.c.n, *oldest).where(counters.c.name == WATERMARK))


def _ticks(connection: Connection, event_types: Sequence[str]) -> dict[str, datetime]:
    """Return when the sensor of each lane last ticked."""
    names = {TICK + event_type: event_type for event_type in event_types}
    found = select(beats.c.name, beats.c.at_ms).where(beats.c.name.in_(names))
    return {names[name]: from_ms(at_ms) for name, at_ms in connection.execute(found)}
