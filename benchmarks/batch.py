"""One batch through the engine in this process: received, enriched, delivered, projected, without Dagster."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks.crm import Lead
from benchmarks.stack import Installation
from enrichment_dagster.composition import Stores, open_stores
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.journal import open_journal

EVENT_TYPE = "lead_created"
OWNER = "bench"
_OBJECT = {"hubspot": "contact", "salesforce": "lead"}


@contextmanager
def engine_stores(place: Installation) -> Iterator[tuple[Settings, Stores]]:
    """Open empty stores of the engine's own."""
    shutil.rmtree(place.home / "engine", ignore_errors=True)
    settings = replace(place.settings, home=place.home / "engine")
    stores = open_stores(settings)
    try:
        yield settings, stores
    finally:
        stores.close()


def receive(settings: Settings, stores: Stores, leads: list[Lead], per_batch: int | None = None) -> list[str]:
    """Put events into the journal and make batches of them, one by default."""
    now, journal = datetime.now(UTC), open_journal(settings)
    events = [
        Event(
            f"evt_{lead.system}_{lead.record_id}",
            lead.key,
            EVENT_TYPE,
            lead.system,
            RecordRef(lead.system, _OBJECT[lead.system], lead.record_id),
            now,
            now,
        )
        for lead in leads
    ]
    try:
        asyncio.run(journal.append(events))
    finally:
        journal.close()
    dispatch, size = stores.dispatch(), per_batch or len(leads)
    dispatch.pump()
    batches = []
    for _ in range(0, len(leads), size):
        group = dispatch.due_groups(EVENT_TYPE, size)[0]
        batches.append(dispatch.assign(EVENT_TYPE, group, size))
    if sum(batch.size for batch in batches if batch) != len(leads):
        raise RuntimeError("the leads did not all get into batches")
    return [batch.batch_id for batch in batches if batch]


def clocked(stage: Callable[[], object]) -> dict[str, float]:
    """Return the wall and processor seconds of a stage."""
    wall, cpu = time.perf_counter(), time.process_time()
    stage()
    return {"wall": round(time.perf_counter() - wall, 3), "cpu": round(time.process_time() - cpu, 3)}
