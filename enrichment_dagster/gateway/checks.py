"""Health checks over the stores. They read in a thread: a blocked disk must not stop the event loop."""

from __future__ import annotations

import asyncio
from datetime import datetime

from sqlalchemy import func, select

from enrichment_dagster.clock import Clock
from enrichment_dagster.gateway.deps import Health, HealthCheck
from enrichment_dagster.ports import TICK
from enrichment_dagster.store.database import Database, from_ms
from enrichment_dagster.store.journal import SqlJournal
from enrichment_dagster.store.tables import beats


def journal_check(journal: SqlJournal) -> HealthCheck:
    """Return a check that the journal answers."""

    async def check() -> Health:
        return Health(True, f"position {await asyncio.to_thread(journal.last_seq)}")

    return check


def ops_check(database: Database, clock: Clock) -> HealthCheck:
    """Return a check that the operational store answers; tells how long ago a sensor last ticked.

    An old tick does not make the gateway unready: events are safe in the journal until Dagster is back.
    """

    async def check() -> Health:
        tick = await asyncio.to_thread(newest_tick, database)
        if tick is None:
            return Health(True, "no sensor has ticked yet")
        return Health(True, f"last sensor tick {(clock.now() - tick).total_seconds():.0f} s ago")

    return check


def newest_tick(database: Database) -> datetime | None:
    """Return when a sensor last ticked."""
    ticks = select(func.max(beats.c.at_ms)).where(beats.c.name.startswith(TICK))
    with database.read() as connection:
        found = connection.execute(ticks).scalar()
    return None if found is None else from_ms(found)
