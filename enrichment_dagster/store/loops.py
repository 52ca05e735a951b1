"""What came of recognising our own writes: loops that did not happen, and signs of one that does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, case, func, select, text

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.echoes import CAUSALITY_DEPTH, OWN_WRITE
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.domain.triggers import UNSUPPORTED
from enrichment_dagster.ports import WorkKind
from enrichment_dagster.store.database import Database, to_ms
from enrichment_dagster.store.tables import LOOPS, own_writes, work

_PAID = (str(Outcome.ENRICHED), str(Outcome.PARTIAL))


@dataclass(frozen=True, slots=True)
class Prevented:
    """Events of one type that our own writes caused and that were not enriched."""

    own_write: int  # reports of what we wrote
    causality_depth: int  # set off by a second enrichment in a row
    saved_micros: int  # what as many events of this type cost; 0 for a type that is never enriched


@dataclass(frozen=True, slots=True)
class WriteRate:
    """How often records were written."""

    writes: int
    busiest: int  # writes to the record that had most of them
    records_over: int  # records with more writes than the limit


class LoopStore:
    """Counts of loops, never values of people."""

    def __init__(self, ops: Database, clock: Clock) -> None:
        self._ops = ops
        self._clock = clock

    def prevented(self, window: timedelta) -> dict[str, Prevented]:
        """Return what was prevented in the window, by event type."""
        since = to_ms(self._clock.now() - window)
        statement = (
            select(work.c.event_type, _of(OWN_WRITE), _of(CAUSALITY_DEPTH))
            .where(text(LOOPS), work.c.received_at_ms >= since, work.c.kind == str(WorkKind.EVENT))
            .group_by(work.c.event_type)
            .order_by(work.c.event_type)
        )
        with self._ops.read() as connection:
            rows = connection.execute(statement).all()
            costs = _average_costs(connection, [name for name, _, _ in rows if name != UNSUPPORTED], since)
        return {
            name: Prevented(int(own), int(deep), round(costs.get(name, 0.0) * (own + deep))) for name, own, deep in rows
        }

    def refused(self, window: timedelta) -> int:
        """Return how many events of the window were set off by a second enrichment in a row."""
        return sum(found.causality_depth for found in self.prevented(window).values())

    def write_rate(self, window: timedelta, limit: int) -> WriteRate:
        """Return how often records were written in the window."""
        record = (own_writes.c.system, own_writes.c.object_type, own_writes.c.record_id)
        since = to_ms(self._clock.now() - window)
        counted = select(func.count().label("n")).where(own_writes.c.claimed_at_ms >= since).group_by(*record)
        n = counted.subquery().c.n
        statement = select(func.sum(n), func.max(n), func.sum(case((n > limit, 1), else_=0)))
        with self._ops.read() as connection:
            writes, busiest, over = connection.execute(statement).one()
        return WriteRate(int(writes or 0), int(busiest or 0), int(over or 0))


def _of(reason: str) -> ColumnElement[int]:
    return func.sum(case((work.c.reason == reason, 1), else_=0))


def _average_costs(connection: Connection, event_types: list[str], since_ms: int) -> dict[str, float]:
    """Return what an enriched event of a type cost in the window, with all its follow-ups."""
    enriched = (work.c.kind == str(WorkKind.EVENT)) & work.c.outcome.in_(_PAID)
    statement = (
        select(work.c.event_type, func.sum(work.c.cost_micros), func.sum(case((enriched, 1), else_=0)))
        .where(work.c.event_type.in_(event_types), work.c.received_at_ms >= since_ms)
        .group_by(work.c.event_type)
    )
    rows = connection.execute(statement).all() if event_types else []
    return {name: cost / count for name, cost, count in rows if count}
