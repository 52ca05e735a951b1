"""The batch engine without Dagster: one process enriches, delivers and projects a batch."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from typing import Any

from benchmarks.command import Options, script
from benchmarks.crm import Lead
from benchmarks.results import Result
from benchmarks.stack import LATENCY_MS, Installation, installation
from enrichment_dagster.composition import Stores, deliver_owed, enrich_batch, open_stores, project
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.journal import open_journal

EVENT_TYPE = "lead_created"
_OBJECT = {"hubspot": "contact", "salesforce": "lead"}


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    return {
        "leads": 100 if options.quick else 500,
        "warm_repetitions": 1 if options.quick else 3,
        "vendor_latency_ms": LATENCY_MS,
        "cold": "the first batch of a process: imports included, as in a run",
    }


def measure(options: Options, result: Result) -> None:
    """Work one batch in a fresh process, then more in the same one, each with stores of its own."""
    with installation(options.base_port, keep=options.keep) as place:
        rounds = 1 + result.parameters["warm_repetitions"]
        found = [one_round(place, result.parameters["leads"]) for _ in range(rounds)]
    cold, warm = found[0], found[1:]
    result.details.update(cold=cold, warm=warm)
    many = result.parameters["leads"]
    for label, stages in (("cold", cold), ("warm", _medians(warm))):
        for name in ("enrich", "deliver", "project", "all"):
            result.add(f"{many} leads, {name}, {label}: wall", stages[name]["wall"], "s")
            result.add(f"{many} leads, {name}, {label}: processor", stages[name]["cpu"], "CPU-s")


def one_round(place: Installation, count: int) -> dict[str, dict[str, float]]:
    """Take one batch through all stages."""
    leads = place.crms.create(count)
    shutil.rmtree(place.home / "engine", ignore_errors=True)
    settings = replace(place.settings, home=place.home / "engine")
    stores = open_stores(settings)
    try:
        batch_id = receive(settings, stores, leads)
        stages = {
            "enrich": clocked(lambda: enrich_batch(settings, stores, EVENT_TYPE, batch_id, "bench")),
            "deliver": clocked(lambda: deliver_owed(settings, stores, "bench")),
            "project": clocked(lambda: project(settings, stores)),
        }
    finally:
        stores.close()
    stages["all"] = {kind: round(sum(stage[kind] for stage in stages.values()), 3) for kind in ("wall", "cpu")}
    print(stages, flush=True)
    return stages


def receive(settings: Settings, stores: Stores, leads: list[Lead]) -> str:
    """Put events into the journal and make one batch of them."""
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
    dispatch = stores.dispatch()
    dispatch.pump()
    group = dispatch.due_groups(EVENT_TYPE, len(leads))[0]
    batch = dispatch.assign(EVENT_TYPE, group, len(leads))
    if batch is None or batch.size != len(leads):
        raise RuntimeError("the leads did not become one batch")
    return batch.batch_id


def clocked(stage: Callable[[], object]) -> dict[str, float]:
    """Return the wall and processor seconds of a stage."""
    wall, cpu = time.perf_counter(), time.process_time()
    stage()
    return {"wall": round(time.perf_counter() - wall, 3), "cpu": round(time.process_time() - cpu, 3)}


def _medians(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        stage: {kind: median(entry[stage][kind] for entry in rounds) for kind in ("wall", "cpu")} for stage in rounds[0]
    }


main = script("engine", "E. The batch engine in one process, without Dagster", measure, parameters)

if __name__ == "__main__":
    main()
