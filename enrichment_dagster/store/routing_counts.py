"""What the gateway's processes have routed since the last report, added up in one row."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import Connection, select, update

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.routing_result import RoutingCounts
from enrichment_dagster.store.database import Database, to_ms
from enrichment_dagster.store.rows import dialect_insert
from enrichment_dagster.store.tables import beats

_NAME = "routing"


class RoutingTally:
    """Adds up counts of several processes until somebody takes them. Synchronous."""

    def __init__(self, ops: Database, clock: Clock) -> None:
        self._ops = ops
        self._clock = clock

    def add(self, counts: RoutingCounts) -> None:
        """Add what a process did."""
        with self._ops.write() as connection:
            row = {"name": _NAME, "at_ms": to_ms(self._clock.now()), "detail": {}}
            connection.execute(dialect_insert(connection, beats).values(row).on_conflict_do_nothing())
            total = _read(connection)
            total.outcomes += counts.outcomes
            total.latencies_ms.extend(counts.latencies_ms)
            total.cost_micros += counts.cost_micros
            total.overloaded += counts.overloaded
            self._write(connection, total)

    def take(self) -> RoutingCounts:
        """Return what was added since the last call."""
        with self._ops.write() as connection:
            total = _read(connection)
            if not total.is_empty:
                self._write(connection, RoutingCounts())
        return total

    def _write(self, connection: Connection, counts: RoutingCounts) -> None:
        detail = {
            "outcomes": dict(counts.outcomes),
            "latencies_ms": [round(ms) for ms in counts.latencies_ms],
            "cost_micros": counts.cost_micros,
            "overloaded": counts.overloaded,
        }
        values = {"at_ms": to_ms(self._clock.now()), "detail": detail}
        connection.execute(update(beats).where(beats.c.name == _NAME).values(values))


def _read(connection: Connection) -> RoutingCounts:
    """Return what the row holds, and lock it."""
    statement = select(beats.c.detail).where(beats.c.name == _NAME).with_for_update()
    detail: dict[str, Any] = connection.execute(statement).scalar() or {}
    counts = RoutingCounts(Counter(detail.get("outcomes", {})))
    counts.latencies_ms.extend(detail.get("latencies_ms", ()))
    counts.cost_micros = detail.get("cost_micros", 0)
    counts.overloaded = detail.get("overloaded", 0)
    return counts
