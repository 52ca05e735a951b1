"""Reading everything that the operational store knows of one event. Holds values of people: for operators only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, select, tuple_

from enrichment_dagster.ports import WorkKind
from enrichment_dagster.store.database import Database, from_ms, to_ms
from enrichment_dagster.store.rows import WATERMARK, Row
from enrichment_dagster.store.story import (
    Batch,
    Call,
    DeadLetter,
    LateAnswer,
    Mention,
    Owed,
    Quarantined,
    Received,
    StoredValue,
    Story,
    Work,
    Written,
    Wrong,
)
from enrichment_dagster.store.tables import (
    attempts,
    batches,
    counters,
    crm_writes,
    dead_letters,
    field_values,
    invalid_values,
    journal,
    outbox,
    pending_answers,
    pending_waiters,
    quarantine,
    work,
)

_LIMIT = 50  # events listed for one record or one ambiguous prefix

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
    asked = [call.attempt_id for call in calls]
    waits = select(pending_waiters.c.attempt_id).where(pending_waiters.c.work_id.in_(work_ids))
    awaited = pending_answers.c.attempt_id.in_(asked) | pending_answers.c.attempt_id.in_(waits)
    first = rows[0]
    return Story(
        received=_as(Received, first),
        skip_reason=first["reason"] if first["outcome"] == "skipped" else "",
        work=[_as(Work, row) for row in rows],
        batches=read(Batch, batches, batches.c.batch_id.in_(batch_ids), batches.c.created_at_ms),
        calls=calls,
        payers=_payers(connection, event_id, calls, values),
        late_answers=read(LateAnswer, pending_answers, awaited, pending_answers.c.created_at_ms),
        values=values,
        quarantined=read(Quarantined, quarantine, quarantine.c.event_id == event_id, quarantine.c.quarantine_id),
        wrong=read(Wrong, invalid_values, invalid_values.c.event_id == event_id, invalid_values.c.subject),
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
