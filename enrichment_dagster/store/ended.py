"""Events whose journey is over, as they end: for those who watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import exists, select

from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.ports import WorkKind
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.rows import Row
from enrichment_dagster.store.tables import field_values, outbox, work

_NOT_ROUTED = (str(Outcome.SKIPPED), str(Outcome.FAILED))


@dataclass(frozen=True, slots=True)
class EndedEvent:
    """One event from reception to its CRM's confirmation; durations in milliseconds.

    ``fields_by_provider`` counts the values that were chosen, not what others said of the same fields.
    """

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
            field_values.c.work_id.in_([row["work_id"] for row in rows]), field_values.c.chosen
        )
        counts: dict[str, dict[str, int]] = {}
        for work_id, provider in connection.execute(values):
            found = counts.setdefault(work_id, {})
            found[provider] = found.get(provider, 0) + 1
    return [
        EndedEvent(
            event_id=row["event_id"],
            record=_record(row),
            outcome=row["outcome"],
            reason=row["reason"],
            missing=tuple(row["missing"]),
            fields_by_provider=counts.get(row["work_id"], {}),
            cost_usd=row["cost_micros"] / 1_000_000,
            wait_ms=row["started_at_ms"] - row["received_at_ms"],
            work_ms=row["finished_at_ms"] - row["started_at_ms"],
            write_ms=None if row["delivered_at_ms"] is None else row["delivered_at_ms"] - row["finished_at_ms"],
            total_ms=_total_ms(row),
            run_id=row["run_id"],
            rev=row["rev"],
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class RoutedEvent:
    """One lead that the gateway routed, from its reception to its CRM's confirmation."""

    event_id: str
    record: str
    segment: str
    score: int
    route: str
    cost_usd: float
    total_ms: int
    rev: int


def routed_since(ops: Database, rev: int, limit: int = 2_000) -> list[RoutedEvent]:
    """Return leads that were routed after a revision, oldest first; not what a rule skipped or nobody could route."""
    owed = exists().where(outbox.c.work_id == work.c.work_id, outbox.c.state == "owed")
    routed = (work.c.kind == str(WorkKind.ROUTING)) & work.c.outcome.not_in(_NOT_ROUTED)
    statement = select(work).where(work.c.rev > rev, routed, ~owed).order_by(work.c.rev).limit(limit)
    with ops.read() as connection:
        rows = connection.execute(statement).mappings().all()
    return [
        RoutedEvent(
            event_id=row["event_id"],
            record=_record(row),
            segment=row["routing"]["segment"],
            score=row["routing"]["score"],
            route=row["routing"]["route"],
            cost_usd=row["cost_micros"] / 1_000_000,
            total_ms=_total_ms(row),
            rev=row["rev"],
        )
        for row in rows
        if row["routing"]
    ]


def _record(row: Row) -> str:
    return f"{row['subject_system']}:{row['subject_type']}:{row['subject_id']}"


def _total_ms(row: Row) -> int:
    end: int = row["delivered_at_ms"] or row["finished_at_ms"]
    return end - int(row["received_at_ms"])
