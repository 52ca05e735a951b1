"""Many leads through vendors' bulk endpoints, in one process: leads a second, and the memory that it takes."""

from __future__ import annotations

import resource
from typing import Any

from benchmarks.batch import EVENT_TYPE, OWNER, clocked, engine_stores, receive
from benchmarks.command import Options, script
from benchmarks.configuration import changed
from benchmarks.results import Result
from benchmarks.stack import Installation, installation
from enrichment_dagster.composition import enrich_batch

LATENCY_MS = 100.0
_PER_BATCH = 2_500


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    return {
        "leads": 1_000 if options.quick else 10_000,
        "leads_per_batch": _PER_BATCH,
        "concurrent_events": 500,
        "vendor_latency_ms": LATENCY_MS,
        "limits": "lifted",
        "lookups": "apollo.person and apollo.company, ten queries a call",
        "cold": "imports included",
    }


def measure(options: Options, result: Result) -> None:
    """Enrich all of them, batch after batch, in a fresh process."""
    count = result.parameters["leads"]
    with installation(options.base_port, keep=options.keep, latency_ms=LATENCY_MS) as place:
        found = one_run(place, count, result.parameters["concurrent_events"])
    result.details.update(found)
    speed = count / found["enrich"]["wall"]
    result.add(f"{count:,} leads, enrich: leads per second", speed, "/s", above=500)
    result.add(f"{count:,} leads, enrich: wall", found["enrich"]["wall"], "s")
    result.add(f"{count:,} leads, enrich: processor", found["enrich"]["cpu"], "CPU-s")
    result.add(f"{count:,} leads, enrich: peak memory (RSS)", found["peak_mb"], "MB", below=500)
    result.add(f"{count:,} leads: bulk calls", found["bulk_calls"], "calls")
    result.add(f"{count:,} leads: calls for one alone", found["single_calls"], "calls")


def one_run(place: Installation, count: int, concurrent: int) -> dict[str, Any]:
    """Work all leads; returns seconds, memory and calls."""
    leads = [lead for _ in range(count // 500) for lead in place.crms.create(500)]

    def bulk_only(config: dict[str, Any]) -> None:
        plan = config["event_types"][EVENT_TYPE]["lanes"]["standard"]
        plan["wanted"] = [name for name in plan["wanted"] if name != "email_status"]
        plan["waterfall"], plan["orders"] = ["apollo.person", "apollo.company"], {}
        config["runs"]["concurrent_events"] = concurrent

    with engine_stores(place) as (usual, stores):
        settings = changed(usual, bulk_only)
        batches = receive(settings, stores, leads, _PER_BATCH)
        before = place.crms.counters()["calls"]

        def all_batches() -> None:
            for batch_id in batches:
                enrich_batch(settings, stores, EVENT_TYPE, batch_id, OWNER)

        seconds = clocked(all_batches)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000
    after = place.crms.counters()["calls"]
    made = {name: calls - before.get(name, 0) for name, calls in after.items() if name.startswith("apollo.")}
    bulk = sum(calls for name, calls in made.items() if "bulk" in name)
    return {
        "enrich": seconds,
        "peak_mb": round(peak_mb, 1),
        "bulk_calls": bulk,
        "single_calls": sum(made.values()) - bulk,
        "calls": made,
    }


main = script("engine_bulk", "E2. Bulk endpoints", measure, parameters)

if __name__ == "__main__":
    main()
