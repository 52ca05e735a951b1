"""The tick's side of the operational store: pump the journal, look at a lane, assign and free batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Integer, Select, bindparam, case, func, insert, select, update

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.dispatch import (
    LEASE,
    MAX_CRASHES,
    SPLIT_SIZES,
    BatchState,
    Claim,
    DueGroup,
    split_size,
)
from enrichment_dagster.domain.echoes import CAUSALITY_DEPTH, OWN_WRITE, Echo, OwnMarks
from enrichment_dagster.domain.edges import ASSOCIATION_REMOVED
from enrichment_dagster.domain.eligibility import COOLDOWN, OUT_OF_ORDER, InboxRules, matter, proven_wrong
from enrichment_dagster.domain.keys import email_subject
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.domain.triggers import UNSUPPORTED_REASON
from enrichment_dagster.ports import TICK, BatchHandOver, Glance, WorkKind
from enrichment_dagster.store.database import Database, from_ms, to_ms
from enrichment_dagster.store.edges import end_removed
from enrichment_dagster.store.inbox import CANDIDATE, in_turn
from enrichment_dagster.store.own_writes import recognise
from enrichment_dagster.store.prepared import Change, Query, insertion_of_new
from enrichment_dagster.store.result_rows import wrong_row
from enrichment_dagster.store.rows import WATERMARK, Row, dialect_insert, event_from_row, next_rev
from enrichment_dagster.store.tables import (
    batches,
    beats,
    counters,
    dead_letters,
    invalid_values,
    journal,
    outbox,
    work,
)

_PUMP_ROWS = 200
_DELIVERY_PATIENCE_SECONDS = 10.0
_SHARED = ("event_id", "event_type", "source", "lane", "subject_system", "subject_type", "subject_id")
_COPIED = (*_SHARED, "sender_event_id", "attributes", "occurred_at_ms", "received_at_ms")
_NO_MARKS = OwnMarks()
_NO_ECHO = Echo("", "", 0)
_PASSED_OVER = (COOLDOWN, OUT_OF_ORDER, CAUSALITY_DEPTH)
"""Reasons of events that ended without a run and are replayed all the same."""


class DispatchStore:
    """What sensors need of the operational store. Synchronous: a tick runs in a thread of its own."""

    def __init__(
        self,
        journal_database: Database,
        ops: Database,
        clock: Clock,
        rules: Mapping[str, InboxRules] | None = None,
        marks: OwnMarks = _NO_MARKS,
    ) -> None:
        """``rules`` say, by event type, how events of one subject stand to each other; without them none waits."""
        self._journal = journal_database
        self._ops = ops
        self._clock = clock
        self._rules = rules or {}
        self._marks = marks

    # --- journal -> work -------------------------------------------------------------------------------------------

    def backlog(self) -> int:
        """Return how many journal rows the pump has not copied yet."""
        with self._ops.read() as connection:
            watermark = _watermark(connection)
        return self._behind(watermark)

    def _behind(self, watermark: int) -> int:
        with self._journal.read() as connection:
            ((newest,),) = _NEWEST.rows(connection)
        return max(0, int(newest) - watermark)

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
            ((watermark, *oldest),) = _glance(tuple(event_types)).rows(connection)
        now_ms = to_ms(self._clock.now())
        due = {
            name: from_ms(at) for name, at in zip(event_types, oldest, strict=True) if at is not None and at <= now_ms
        }
        return Glance(self._behind(int(watermark)), due)

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
        statement = _open_batches().where(
            batches.c.event_type.in_(event_types),
            batches.c.started_attempt != batches.c.attempt,
            batches.c.emitted_at_ms >= to_ms(since),
        )
        with self._ops.read() as connection:
            return [_batch_state(row) for row in connection.execute(statement).mappings()]

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
        statement = _open_batches().where(batches.c.event_type == event_type)
        with self._ops.read() as connection:
            return [_batch_state(row) for row in connection.execute(statement).mappings()]

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
                    _shares_batch(group.max_size, max_batch),
                )
                .order_by(work.c.due_at_ms, work.c.seq)
                .limit(group.max_size)
            )
            rows = self._in_turn(connection, event_type, due)
            return _new_batch(connection, event_type, group.day, rows, now_ms) if rows else None

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
                _replay_day(connection, event_type, day, now_ms)
            in_time = (work.c.kind != str(WorkKind.GAP_FILL)) | (work.c.due_at_ms <= now_ms)
            mine = (work.c.state == "due") & (work.c.event_type == event_type) & (work.c.day == day) & in_time
            crashes = connection.execute(select(func.min(work.c.crashes)).where(mine)).scalar()
            if crashes is None:
                return None
            size = split_size(crashes, limit)
            due = select(*CANDIDATE).where(mine, _shares_batch(size, limit)).order_by(work.c.seq).limit(size)
            rows = self._in_turn(connection, event_type, due)
            batch = _new_batch(connection, event_type, day, rows, now_ms) if rows else None
            if batch and owner:
                _lease_to(connection, batch.batch_id, owner, now_ms)
            return batch

    def finish(self, batch_ids: Sequence[str]) -> None:
        """Close batches whose events all have a final state."""
        with self._ops.write() as connection:
            _close(connection, batch_ids, "finished", to_ms(self._clock.now()))

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
                _release(connection, batch_id, now_ms, rev)
            _close(connection, batch_ids, "released", now_ms)

    def hand_over(self, batch_ids: Sequence[str], *, next_attempt: Sequence[str] = ()) -> list[BatchHandOver]:
        """Mark batches as handed to Dagster now and return what their run requests say."""
        again = set(next_attempt)
        with self._ops.write() as connection:
            now_ms = to_ms(self._clock.now())
            return [_hand_over(connection, batch_id, now_ms, int(batch_id in again)) for batch_id in batch_ids]

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


_NEWEST = Query(select(func.coalesce(func.max(journal.c.seq), 0)))


@cache
def _glance(event_types: tuple[str, ...]) -> Query:
    """Return the query of the watermark and of each type's oldest due event: each is one step in an index."""
    oldest = [
        select(func.min(work.c.due_at_ms)).where(work.c.state == "due", work.c.event_type == name).scalar_subquery()
        for name in event_types
    ]
    return Query(select(counters.c.n, *oldest).where(counters.c.name == WATERMARK))


def _open_batches() -> Select[Any]:
    remaining = (
        select(func.count()).where(work.c.batch_id == batches.c.batch_id, work.c.state == "assigned").scalar_subquery()
    )
    return select(batches, remaining.label("open_work")).where(batches.c.state == "open")


def _ticks(connection: Connection, event_types: Sequence[str]) -> dict[str, datetime]:
    """Return when the sensor of each lane last ticked."""
    names = {TICK + event_type: event_type for event_type in event_types}
    found = select(beats.c.name, beats.c.at_ms).where(beats.c.name.in_(names))
    return {names[name]: from_ms(at_ms) for name, at_ms in connection.execute(found)}


def pump_into(
    connection: Connection,
    journal_database: Database,
    now: datetime,
    rules: Mapping[str, InboxRules],
    marks: OwnMarks = _NO_MARKS,
) -> int:
    """Copy the next journal rows past the watermark into ``work``, inside a transaction; returns how many.

    What our own writes caused is recognised here and ends at once.
    """
    watermark = _watermark(connection, lock=True)
    with journal_database.read() as source:
        past = _PAST_WATERMARK.rows(source, b_watermark=watermark, b_rows=_PUMP_ROWS)
    rows = [dict(zip(_PUMPED, row, strict=True)) for row in past]
    if not rows:
        return 0
    rev, now_ms = next_rev(connection), to_ms(now)
    echoes = _echoes(connection, rows, marks)
    found = [_work_row(row, rev, now_ms, rules, echoes.get(row["event_id"], _NO_ECHO)) for row in rows]
    insertion_of_new(work).run(connection, found)
    _note_wrong(connection, rows, now_ms)
    end_removed(connection, [row for row in rows if row["skip_reason"] == ASSOCIATION_REMOVED], rev)
    _MOVE_WATERMARK.run(connection, [{"b_seq": rows[-1]["seq"]}])
    return len(rows)


_PUMPED = ("seq", *_COPIED, "skip_reason", "reserved_until_ms")
_PAST_WATERMARK = Query(
    select(*(journal.c[name] for name in _PUMPED))
    .where(journal.c.seq > bindparam("b_watermark"))
    .order_by(journal.c.seq)
    .limit(bindparam("b_rows", type_=Integer))
)
_WATERMARK = select(counters.c.n).where(counters.c.name == WATERMARK)
_READ_WATERMARK, _LOCK_WATERMARK = Query(_WATERMARK), Query(_WATERMARK.with_for_update())
_MOVE_WATERMARK = Change(update(counters).where(counters.c.name == WATERMARK).values(n=bindparam("b_seq")))


def _watermark(connection: Connection, *, lock: bool = False) -> int:
    ((watermark,),) = (_LOCK_WATERMARK if lock else _READ_WATERMARK).rows(connection)
    return int(watermark)


def _note_wrong(connection: Connection, rows: Sequence[Row], now_ms: int) -> None:
    """Remember at once what events prove wrong: other lanes must not bring it back before these events' own turn."""
    found = [
        wrong_row(subject, *wrong, str(row["attributes"]["problem"]), row["event_id"], now_ms)
        for row in rows
        if (wrong := proven_wrong(row["event_type"], row["attributes"])) is not None
        for subject in _known_as(row)
    ]
    insertion_of_new(invalid_values).run(connection, found)


def _known_as(row: Row) -> list[str]:
    """Return the keys that an event itself names its subject by."""
    record = f"{row['subject_system']}:{row['subject_type']}:{row['subject_id']}"
    said = row["attributes"]
    address = said.get("email") or (said["bad_value"] if said["bad_field"] == "email" else "")
    return [record, email_subject(address)] if "@" in str(address) else [record]


def _echoes(connection: Connection, rows: Sequence[Any], marks: OwnMarks) -> dict[str, Echo]:
    """Return what our own writes have to do with these events, by event id.

    What the door refused keeps its reason, but for types that are never enriched: among these are most of the changes
    that we make ourselves, and who looks at one wants to know that.
    """
    refused = {row["event_id"] for row in rows if row["skip_reason"]}
    asked = [event_from_row(row) for row in rows if row["skip_reason"] in {"", UNSUPPORTED_REASON}]
    found = recognise(connection, asked, marks)
    return {name: echo for name, echo in found.items() if echo.reason == OWN_WRITE or name not in refused}


def _work_row(row: Row, rev: int, now_ms: int, rules: Mapping[str, InboxRules], echo: Echo) -> dict[str, Any]:
    reason = echo.reason or row["skip_reason"]
    skipped = bool(reason)
    own = rules.get(row["event_type"])
    window_ms = 0 if own is None else round(own.debounce.total_seconds() * 1_000)
    return {
        **{name: row[name] for name in _COPIED},
        "work_id": row["event_id"],
        "seq": row["seq"],
        "kind": str(WorkKind.EVENT),
        "day": from_ms(row["received_at_ms"]).date().isoformat(),
        "state": "done" if skipped else "due",
        "due_at_ms": row["reserved_until_ms"] or row["received_at_ms"] + window_ms,
        "matter": matter(row["event_type"], row["attributes"]),
        "started_at_ms": now_ms if skipped else None,
        "finished_at_ms": now_ms if skipped else None,
        "outcome": str(Outcome.SKIPPED) if skipped else None,
        "reason": reason,
        "caused_by": echo.caused_by,
        "depth": echo.depth,
        "rev": rev,
    }


def _shares_batch(size: int, max_batch: int) -> ColumnElement[bool]:
    """Select the work that goes into batches of this size: by the number of workers that died with it."""
    last = len(SPLIT_SIZES) - 1
    crashes = [n for n in range(len(SPLIT_SIZES)) if split_size(n, max_batch) == size]
    some = work.c.crashes.in_(crashes)
    return some | (work.c.crashes >= last) if last in crashes else some


def _lease_to(connection: Connection, batch_id: str, owner: str, now_ms: int) -> None:
    until = now_ms + round(LEASE.total_seconds() * 1_000)
    mine = update(batches).where(batches.c.batch_id == batch_id)
    connection.execute(mine.values(owner=owner, started_attempt=batches.c.attempt, lease_until_ms=until))


def _batch_state(row: Any) -> BatchState:
    return BatchState(
        batch_id=row["batch_id"],
        attempt=row["attempt"],
        open_work=row["open_work"],
        started=row["started_attempt"] == row["attempt"],
        emitted_at=from_ms(row["emitted_at_ms"]),
        lease_until=from_ms(row["lease_until_ms"]),
        owner=row["owner"],
    )


def _new_batch(connection: Connection, event_type: str, day: str, rows: Sequence[Any], now_ms: int) -> BatchHandOver:
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


def _hand_over(connection: Connection, batch_id: str, now_ms: int, step: int) -> BatchHandOver:
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


def _close(connection: Connection, batch_ids: Iterable[str], state: str, now_ms: int) -> None:
    statement = update(batches).where(batches.c.batch_id.in_(list(batch_ids)), batches.c.state == "open")
    connection.execute(statement.values(state=state, finished_at_ms=now_ms))


def _release(connection: Connection, batch_id: str, now_ms: int, rev: int) -> None:
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


def _replay_day(connection: Connection, event_type: str, day: str, now_ms: int) -> None:
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
            **{name: row[name] for name in (*_COPIED, "seq", "day")},
            "work_id": f"{row['event_id']}/refresh-{nonce}",
            "kind": str(WorkKind.REFRESH),
            "state": "due",
            "due_at_ms": now_ms,
            "rev": rev,
        }
        for row in rows
    ]
    connection.execute(insert(work), replays)
