"""Between values of the domain and rows of the operational store."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, update

from enrichment_dagster.domain.event import Event, Lane, RecordRef
from enrichment_dagster.store.database import from_ms, to_ms
from enrichment_dagster.store.prepared import Query, insert_of
from enrichment_dagster.store.tables import counters

Row = Any
"""A row by column names (SQLAlchemy's ``RowMapping``, which no ``Mapping[str, Any]`` admits)."""

REV = "rev"
WATERMARK = "journal_watermark"


def dialect_insert(connection: Connection, table: Table) -> Any:
    """Return the dialect's INSERT, which knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    return insert_of(connection.dialect.name, table)


def insert_new(connection: Connection, table: Table) -> Any:
    """Return the INSERT that passes over rows which are there already."""
    return _insert_new(connection.dialect.name, table)


def upsert(connection: Connection, table: Table, key: tuple[str, ...], changed: tuple[str, ...]) -> Any:
    """Return the INSERT that writes the ``changed`` columns of rows which are there already."""
    return _upsert(connection.dialect.name, table, key, changed)


# Statements are made once: SQLAlchemy takes longer to build one than SQLite takes to run it.


@cache
def _insert_new(dialect: str, table: Table) -> Any:
    return insert_of(dialect, table).on_conflict_do_nothing()


@cache
def _upsert(dialect: str, table: Table, key: tuple[str, ...], changed: tuple[str, ...]) -> Any:
    make = insert_of(dialect, table)
    return make.on_conflict_do_update(index_elements=key, set_={name: make.excluded[name] for name in changed})


_NEXT_REV = Query(update(counters).where(counters.c.name == REV).values(n=counters.c.n + 1).returning(counters.c.n))


def next_rev(connection: Connection) -> int:
    """Return a new revision; its counter row stays locked until commit, so revisions become visible in order."""
    ((rev,),) = _NEXT_REV.rows(connection)
    return int(rev)


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
