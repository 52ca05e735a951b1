"""Reading everything that the operational store knows of one event. Holds values of people: for operators only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, select, tuple_

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.ports import WorkKind
from enrichment_dagster.store.database import Database, from_ms, to_ms
from enrichment_dagster.store.rows import WATERMARK, Row
from enrichment_dagster.store.tables import (
    attempts,
    batches,
    counters,
    crm_writes,
    dead_letters,
    field_values,
    journal,
    outbox,
    quarantine,
    work,
)

_LIMIT = 50  # events listed for one record or one ambiguous prefix


@dataclass(frozen=True, slots=True)
class Received:
    """The event as it came in."""

    event_id: str
    event_type: str
    source: str
    lane: str
    subject_system: str
    subject_type: str
    subject_id: str
    sender_event_id: str
    occurred_at: datetime
    received_at: datetime
    attributes: Mapping[str, Any]

    @property
    def record(self) -> RecordRef:
        """Return the record that it concerns."""
        return RecordRef(self.subject_system, self.subject_type, self.subject_id)


@dataclass(frozen=True, slots=True)
class Work:
    """The event's work, or a follow-up of it."""

    work_id: str
    kind: str
    state: str
    due_at: datetime
    batch_id: str | None
    run_id: str
    tries: int
    crashes: int
    started_at: datetime | None
    finished_at: datetime | None
    delivered_at: datetime | None
    outcome: str | None
    reason: str
    missing: Mapping[str, str]
    cost_micros: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that holds or held the event."""

    batch_id: str
    state: str
    attempt: int
    size: int
    starts: int
    created_at: datetime
    emitted_at: datetime


@dataclass(frozen=True, slots=True)
class Call:
    """One paid call."""

    attempt_id: str
    event_id: str
    provider: str
    purpose: str
    subject_key: str
    state: str
    reason: str
    http_status: int | None
    request_id: str
    cost_micros: int
    latency_ms: int | None
    sent_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredValue:
    """One value of the field ledger."""

    work_id: str
    subject_key: str
    field: str
    value: Any
    provider: str
    confidence: float
    fetched_at: datetime
    expires_at: datetime | None
    cost_micros: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A value that a provider sent and that was not stored as data."""

    work_id: str
    field: str
    raw: str
    provider: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Owed:
    """An effect that was promised to a CRM record; it stays after it was delivered."""

    outbox_id: str
    work_id: str
    system: str
    object_type: str
    record_id: str
    fill: Mapping[str, Any]
    assign: Mapping[str, Any]
    state: str
    tries: int
    last_reason: str
    next_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """What a delivery did to a CRM record."""

    outbox_id: str
    work_id: str
    system: str
    object_type: str
    record_id: str
    status: str
    written: Mapping[str, Any]
    kept: Mapping[str, str]
    reason: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that was given up."""

    work_id: str
    component: str
    reason: str
    detail: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Story:
    """One event with all that happened. ``work`` is empty as long as the event is only in the journal."""

    received: Received
    skip_reason: str
    work: Sequence[Work] = ()
    batches: Sequence[Batch] = ()
    calls: Sequence[Call] = ()
    payers: Sequence[Call] = ()  # calls of other events whose answers this one used
    values: Sequence[StoredValue] = ()
    quarantined: Sequence[Quarantined] = ()
    owed: Sequence[Owed] = ()
    written: Sequence[Written] = ()
    dead_letters: Sequence[DeadLetter] = ()


@dataclass(frozen=True, slots=True)
class Mention:
    """An event in a list. Without a state it is only in the journal so far."""

    event_id: str
    event_type: str
    received_at: datetime
    state: str
    outcome: str | None
    reason: str


_T = TypeVar("_T")


class ExplainStore:
    """Finds events and tells their stories."""

    def __init__(self, journal_database: Database, ops: Database) -> None:
        self._journal = journal_database
        self._ops = ops

    def of_prefix(self, prefix: str) -> list[Mention]:
        """Return the event with this id, or the events whose ids begin with it."""
        return self._mentions(work.c.event_id == prefix, journal.c.event_id == prefix) or self._mentions(
            work.c.event_id.startswith(prefix, autoescape=True), journal.c.event_id.startswith(prefix, autoescape=True)
        )

    def of_record(self, record_id: str, system: str | None = None, object_type: str | None = None) -> list[Mention]:
        """Return the newest events of a record, newest first; of any system where none is given."""
        wanted = {"subject_id": record_id, "subject_system": system, "subject_type": object_type}
        given = {name: value for name, value in wanted.items() if value is not None}
        here, waiting = (and_(*(table.c[name] == value for name, value in given.items())) for table in (work, journal))
        return self._mentions(here, waiting)

    def story(self, event_id: str) -> Story | None:
        """Return all that is known of an event, or None where there is no such event."""
        with self._ops.read() as connection:
            rows = (
                connection.execute(
                    select(work)
                    .where(work.c.event_id == event_id)
                    .order_by(work.c.kind != str(WorkKind.EVENT), work.c.due_at_ms)
                )
                .mappings()
                .all()
            )
            if rows:
                return _story(connection, event_id, rows)
            watermark = _watermark(connection)
        with self._journal.read() as connection:
            statement = select(journal).where(journal.c.seq > watermark, journal.c.event_id == event_id)
            row = connection.execute(statement).mappings().first()
        return None if row is None else Story(_as(Received, row), row["skip_reason"])

    def _mentions(self, in_work: ColumnElement[bool], in_journal: ColumnElement[bool]) -> list[Mention]:
        with self._ops.read() as connection:
            statement = (
                select(work)
                .where(in_work, work.c.kind == str(WorkKind.EVENT))
                .order_by(work.c.received_at_ms.desc())
                .limit(_LIMIT)
            )
            known = [_as(Mention, row) for row in connection.execute(statement).mappings()]
            watermark = _watermark(connection)
        with self._journal.read() as connection:
            fresh = select(journal).where(in_journal, journal.c.seq > watermark).order_by(journal.c.seq.desc())
            waiting = [
                Mention(
                    row["event_id"], row["event_type"], from_ms(row["received_at_ms"]), "", None, row["skip_reason"]
                )
                for row in connection.execute(fresh.limit(_LIMIT)).mappings()
            ]
        return [*waiting, *known]


def _watermark(connection: Connection) -> int:
    return int(connection.execute(select(counters.c.n).where(counters.c.name == WATERMARK)).scalar_one())


def _as(kind: type[_T], row: Row) -> _T:
    """Build a dataclass from the columns of its fields' names; times are milliseconds there."""
    values: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type]  # the callers pass dataclasses
        if item.name in row:
            values[item.name] = row[item.name]
        else:
            ms = row[f"{item.name}_ms"]
            values[item.name] = None if ms is None else from_ms(ms)
    return kind(**values)


def _story(connection: Connection, event_id: str, rows: Sequence[Row]) -> Story:
    work_ids = [row["work_id"] for row in rows]

    def read(kind: type[_T], table: Table, condition: ColumnElement[bool], *order: Any) -> list[_T]:
        statement = select(table).where(condition).order_by(*order)
        return [_as(kind, row) for row in connection.execute(statement).mappings()]

    calls = read(Call, attempts, attempts.c.event_id == event_id, attempts.c.sent_at_ms, attempts.c.attempt_id)
    values = read(StoredValue, field_values, field_values.c.event_id == event_id, field_values.c.value_id)
    batch_ids = [row["batch_id"] for row in rows if row["batch_id"]]
    first = rows[0]
    return Story(
        received=_as(Received, first),
        skip_reason=first["reason"] if first["outcome"] == "skipped" else "",
        work=[_as(Work, row) for row in rows],
        batches=read(Batch, batches, batches.c.batch_id.in_(batch_ids), batches.c.created_at_ms),
        calls=calls,
        payers=_payers(connection, event_id, calls, values),
        values=values,
        quarantined=read(Quarantined, quarantine, quarantine.c.event_id == event_id, quarantine.c.quarantine_id),
        owed=read(Owed, outbox, outbox.c.work_id.in_(work_ids), outbox.c.created_at_ms),
        written=read(Written, crm_writes, crm_writes.c.event_id == event_id, crm_writes.c.written_at_ms),
        dead_letters=read(DeadLetter, dead_letters, dead_letters.c.event_id == event_id, dead_letters.c.created_at_ms),
    )


def _payers(connection: Connection, event_id: str, calls: Sequence[Call], values: Sequence[StoredValue]) -> list[Call]:
    """Return the calls of other events that brought these values.

    An answer is known again by the provider's request id; where a provider gives none, by the moment it was stored.
    """
    own = {(call.provider, call.request_id) for call in calls if call.state == "hit"}
    foreign = [value for value in values if (value.provider, value.request_id) not in own]
    by_id = {(value.provider, value.request_id) for value in foreign if value.request_id}
    by_time = {(value.provider, to_ms(value.fetched_at)) for value in foreign if not value.request_id}
    conditions: list[ColumnElement[bool]] = []
    if by_id:
        conditions.append(tuple_(attempts.c.provider, attempts.c.request_id).in_(sorted(by_id)))
    if by_time:
        conditions.append(tuple_(attempts.c.provider, attempts.c.settled_at_ms).in_(sorted(by_time)))
    if not conditions:
        return []
    statement = select(attempts).where(or_(*conditions), attempts.c.event_id != event_id, attempts.c.state == "hit")
    return [_as(Call, row) for row in connection.execute(statement.order_by(attempts.c.sent_at_ms)).mappings()]
