"""Events whose journey is over, as they end: for those who watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import exists, select

from enrichment_dagster.ports import WorkKind
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.tables import field_values, outbox, work


@dataclass(frozen=True, slots=True)
class EndedEvent:
    """One event from reception to its CRM's confirmation; durations in milliseconds."""

    event_id: str
    record: str
    outcome: str
    reason: str
    missing: tuple[str, ...]
    fields_by_provider: Mapping[str, int]
    cost_usd: float
    wait_ms: int
    work_ms: int
    write_ms: int | None
    total_ms: int
    run_id: str
    rev: int


def ended_since(ops: Database, rev: int, limit: int = 2_000) -> list[EndedEvent]:
    """Return events that ended after a revision, oldest first; one that is still owed to its CRM has not ended."""
    owed = exists().where(outbox.c.work_id == work.c.work_id, outbox.c.state == "owed")
    statement = (
        select(work)
        .where(work.c.rev > rev, work.c.state == "done", work.c.kind == str(WorkKind.EVENT), ~owed)
        .order_by(work.c.rev)
        .limit(limit)
    )
    with ops.read() as connection:
        rows = connection.execute(statement).mappings().all()
        values = select(field_values.c.work_id, field_values.c.provider).where(
            field_values.c.work_id.in_([row["work_id"] for row in rows])
        )
        counts: dict[str, dict[str, int]] = {}
        for work_id, provider in connection.execute(values):
            found = counts.setdefault(work_id, {})
            found[provider] = found.get(provider, 0) + 1
    return [
        EndedEvent(
            event_id=row["event_id"],
            record=f"{row['subject_system']}:{row['subject_type']}:{row['subject_id']}",
            outcome=row["outcome"],
            reason=row["reason"],
            missing=tuple(row["missing"]),
            fields_by_provider=counts.get(row["work_id"], {}),
            cost_usd=row["cost_micros"] / 1_000_000,
            wait_ms=row["started_at_ms"] - row["received_at_ms"],
            work_ms=row["finished_at_ms"] - row["started_at_ms"],
            write_ms=None if row["delivered_at_ms"] is None else row["delivered_at_ms"] - row["finished_at_ms"],
            total_ms=(row["delivered_at_ms"] or row["finished_at_ms"]) - row["received_at_ms"],
            run_id=row["run_id"],
            rev=row["rev"],
        )
        for row in rows
    ]
