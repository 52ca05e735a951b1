"""What the operational store knows of runs: their signs of life, and the deliveries that they hold."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, select, update

from enrichment_dagster.clock import Clock
from enrichment_dagster.store.database import Database, to_ms
from enrichment_dagster.store.rows import dialect_insert
from enrichment_dagster.store.tables import beats, outbox

_PREFIX = "run:"


class RunStore:
    """Signs of life of runs, whatever they do, and what to free when one is gone. Synchronous."""

    def __init__(self, ops: Database, clock: Clock) -> None:
        self._ops = ops
        self._clock = clock

    def alive(self, run_id: str) -> None:
        """Note that a run is at work."""
        row = {"name": _PREFIX + run_id, "at_ms": to_ms(self._clock.now()), "detail": {}}
        with self._ops.write() as connection:
            make = dialect_insert(connection, beats).values(row)
            connection.execute(make.on_conflict_do_update(index_elements=["name"], set_=row))

    def silent(self, patience: timedelta) -> list[str]:
        """Return the runs that gave signs of life and give none any more: they have ended, or their process is gone."""
        before = to_ms(self._clock.now() - patience)
        statement = select(beats.c.name).where(beats.c.name.startswith(_PREFIX), beats.c.at_ms < before)
        with self._ops.read() as connection:
            return [name.removeprefix(_PREFIX) for name in connection.execute(statement).scalars()]

    def forget(self, run_id: str) -> None:
        """Remove a run's signs of life."""
        with self._ops.write() as connection:
            connection.execute(delete(beats).where(beats.c.name == _PREFIX + run_id))

    def delivering(self) -> list[str]:
        """Return who has deliveries in hand."""
        held = (outbox.c.state == "owed") & (outbox.c.lease_until_ms >= to_ms(self._clock.now()))
        with self._ops.read() as connection:
            return list(
                connection.execute(select(outbox.c.owner).where(held, outbox.c.owner != "").distinct()).scalars()
            )

    def free_deliveries(self, owner: str) -> int:
        """Let others deliver what a dead run had in hand; returns how many. A repeated write changes nothing."""
        statement = update(outbox).where(outbox.c.state == "owed", outbox.c.owner == owner)
        with self._ops.write() as connection:
            return connection.execute(statement.values(owner="", lease_until_ms=0)).rowcount
