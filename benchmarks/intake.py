"""How fast a webhook is acknowledged while the rest of the machine works."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import func, select

from benchmarks.command import Options, script
from benchmarks.crm import hubspot_delivery, single_deliveries
from benchmarks.journey import poisson_gaps, warm_up
from benchmarks.load import Exchange, send
from benchmarks.results import Result
from benchmarks.stack import Installation, installation
from benchmarks.stats import percentile, schedule
from enrichment_dagster.store.tables import journal, work

RATE = 200.0
BATCH = 100
BATCH_RATE = 2.0
_LET_RUNS_START_SECONDS = 5


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    seconds = 5 if options.quick else 40
    return {
        "rate_per_second": RATE,
        "seconds": seconds,
        "arrivals": "Poisson",
        "batches": 6 if options.quick else 40,
        "batch_events": BATCH,
        "batch_rate_per_second": BATCH_RATE,
        "vendor_latency_ms": 50,
    }


def measure(options: Options, result: Result) -> None:
    """Measure while the stack enriches, stores and delivers what it acknowledges."""
    sizes = result.parameters
    count = round(RATE * sizes["seconds"])
    with installation(options.base_port, keep=options.keep) as place, place.running():
        warm_up(place)
        singles(place, result, "warm-up", count // 8)
        time.sleep(_LET_RUNS_START_SECONDS)
        busy_from = round(time.time() * 1_000)
        singles(place, result, "singles", count)
        _note_work(place, result, busy_from)
        batches_from = round(time.time() * 1_000)
        batches(place, result, sizes["batches"])
        _note_work(place, result, batches_from, "during_batches")
        _check_journal(place, result)
    judge(result)


def judge(result: Result) -> None:
    """Turn the series into figures."""
    single, batch = result.series["singles ms"], result.series["batches ms"]
    result.add("acknowledged while busy, 200 events/s sent singly, p50", percentile(single, 0.5), "ms")
    result.add("acknowledged while busy, 200 events/s sent singly, p99", percentile(single, 0.99), "ms", below=50)
    result.add("acknowledged while busy, 200 events/s sent singly, worst", max(single), "ms")
    late = percentile(result.series["singles late ms"], 0.99)
    result.add("of that, the generator itself was late by, p99", late, "ms")
    result.add("HubSpot batch of 100 events while busy, p50", percentile(batch, 0.5), "ms")
    result.add("HubSpot batch of 100 events while busy, p99", percentile(batch, 0.99), "ms", below=100)
    result.add("not acknowledged with 2xx", result.details["refused"], "events", at_most=0)
    result.add("acknowledged and not in the journal", result.details["lost"], "events", at_most=0)
    result.add("leads enriched per second meanwhile", result.details["while busy"]["enriched_per_second"], "/s")


def singles(place: Installation, result: Result, label: str, count: int) -> None:
    """Send events one by one at the rate."""
    leads = place.crms.create(count)
    due = schedule(RATE, count, poisson_gaps(count))
    print(f"{label}: {count} events at {RATE:.0f}/s ...", flush=True)
    _note(result, label, send(place.ports.gateway, single_deliveries(leads, place.ports), due), count)


def batches(place: Installation, result: Result, count: int) -> None:
    """Send HubSpot calls of a hundred events each."""
    leads = place.crms.create(count * BATCH, salesforce_share=0.0)
    groups = [leads[first : first + BATCH] for first in range(0, len(leads), BATCH)]
    print(f"batches: {count} of {BATCH} events ...", flush=True)
    calls = [hubspot_delivery(group, place.ports) for group in groups]
    due = schedule(BATCH_RATE, count, poisson_gaps(count, seed=8))
    _note(result, "batches", send(place.ports.gateway, calls, due), len(leads))


def _note(result: Result, label: str, sent: list[Exchange], events: int) -> None:
    result.series[f"{label} ms"] = [exchange.latency_seconds * 1_000 for exchange in sent]
    result.series[f"{label} late ms"] = [exchange.late_seconds * 1_000 for exchange in sent]
    details = result.details
    details["refused"] = details.get("refused", 0) + sum(not exchange.accepted for exchange in sent)
    details["sent"] = details.get("sent", 0) + events


def _note_work(place: Installation, result: Result, since_ms: int, label: str = "while busy") -> None:
    """Prove that the stack was at work meanwhile."""
    window = max(1.0, time.time() - since_ms / 1_000)
    with place.stores() as stores, stores.ops.read() as connection:
        recent = select(func.count(), func.count(work.c.run_id.distinct())).where(work.c.finished_at_ms >= since_ms)
        done, runs = connection.execute(recent).one()
    result.details[label] = {
        "seconds": round(window, 1),
        "enriched": done,
        "runs": runs,
        "enriched_per_second": round(done / window, 1),
    }
    print(f"{label}: {result.details[label]}", flush=True)


def _check_journal(place: Installation, result: Result) -> None:
    """Everything that was acknowledged must be in the journal."""
    with place.stores() as stores, stores.journal.read() as connection:
        rows = connection.execute(select(func.count()).select_from(journal)).scalar_one()
    warm = 3
    result.details["lost"] = result.details["sent"] - (rows - warm)


main = script("intake", "A. Webhook acknowledged", measure, parameters)

if __name__ == "__main__":
    main()
