"""Between values of the domain and rows of the operational store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, update
from sqlalchemy.dialects import postgresql, sqlite

from enrichment_dagster.domain.event import Event, Lane, RecordRef
from enrichment_dagster.store.database import from_ms, to_ms
from enrichment_dagster.store.tables import counters

Row = Any
"""A row by column names (SQLAlchemy's ``RowMapping``, which no ``Mapping[str, Any]`` admits)."""

REV = "rev"
WATERMARK = "journal_watermark"


_INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def dialect_insert(connection: Connection, table: Table) -> Any:
    """Return the dialect's INSERT, which knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    return _INSERT[connection.dialect.name](table)


def next_rev(connection: Connection) -> int:
    """Return a new revision; its counter row stays locked until commit, so revisions become visible in order."""
    statement = update(counters).where(counters.c.name == REV).values(n=counters.c.n + 1).returning(counters.c.n)
    return int(connection.execute(statement).scalar_one())


def event_columns(event: Event) -> dict[str, Any]:
    """Return the columns that journal and work share."""
    return {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "source": event.source,
        "lane": str(event.lane),
        "subject_system": event.subject.system,
        "subject_type": event.subject.object_type,
        "subject_id": event.subject.record_id,
        "sender_event_id": event.sender_event_id,
        "occurred_at_ms": to_ms(event.occurred_at),
        "received_at_ms": to_ms(event.received_at),
        "attributes": dict(event.attributes),
    }


def event_from_row(row: Row) -> Event:
    """Return the event of a journal or work row."""
    return Event(
        event_id=row["event_id"],
        dedup_key=row.get("dedup_key", ""),
        event_type=row["event_type"],
        source=row["source"],
        subject=RecordRef(row["subject_system"], row["subject_type"], row["subject_id"]),
        occurred_at=from_ms(row["occurred_at_ms"]),
        received_at=from_ms(row["received_at_ms"]),
        sender_event_id=row["sender_event_id"],
        lane=Lane(row["lane"]),
        attributes=row["attributes"],
    )
