"""Five hundred leads at once: when all are in the CRM and the warehouse, in how many runs, for how much processor."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.command import Options, script
from benchmarks.hops import live_runs, runs_since
from benchmarks.journey import Watcher, deliver, seconds_to, warm_up
from benchmarks.results import Result
from benchmarks.stack import Installation, installation
from benchmarks.usage import cpu_between, cpu_seconds, runs_alive

SIZE = 500


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    return {
        "leads": 100 if options.quick else SIZE,
        "bursts": 1 if options.quick else 3,
        "pause_seconds": 12,
        "senders": "HubSpot and Salesforce by turns, one webhook per lead, 64 connections",
        "vendor_latency_ms": 50,
        "cpu": "utime+stime+cutime+cstime of `enrichment up` and all below it, from the first webhook to the last "
        "run's end; without the emulators and the generator, with the stack's idling meanwhile",
    }


def measure(options: Options, result: Result) -> None:
    """Repeat the burst on one stack; the worst one is judged."""
    found = []
    with installation(options.base_port, keep=options.keep) as place, place.running():
        warm_up(place)
        for number in range(result.parameters["bursts"]):
            time.sleep(result.parameters["pause_seconds"])
            found.append(one_burst(place, result.parameters["leads"]))
            print(f"burst {number + 1}: {found[-1]}", flush=True)
    result.details["bursts"] = found
    for name in ("crm_seconds", "warehouse_seconds", "runs", "cpu_seconds"):
        result.series[name] = [burst[name] for burst in found]
    many = f"{result.parameters['leads']} leads at once"
    result.add(f"{many}, last one in the CRM (worst burst)", max(result.series["crm_seconds"]), "s", below=12)
    result.add(f"{many}, last one in DuckDB (worst burst)", max(result.series["warehouse_seconds"]), "s", below=15)
    result.add(f"{many}, runs (worst burst)", max(result.series["runs"]), "runs", at_most=3)
    result.add(f"{many}, processor time (worst burst)", max(result.series["cpu_seconds"]), "CPU-s", below=20)


def one_burst(place: Installation, size: int) -> dict[str, Any]:
    """Send all at once and follow them to the end."""
    leads = place.crms.create(size)
    before, began = cpu_seconds(place.pid), time.time()
    with Watcher(place) as watcher:
        sent = deliver(place, leads, [0.0] * size)
        watcher.wait_for(leads, 180)
    wait_for_runs(place)
    used = cpu_between(before, cpu_seconds(place.pid))
    to_crm = seconds_to(watcher.arrivals.in_crm, leads, sent)
    return {
        "acknowledged_seconds": round(max(exchange.latency_seconds for exchange in sent), 3),
        "crm_seconds_p50": round(sorted(to_crm)[size // 2], 3),
        "crm_seconds": round(max(to_crm), 3),
        "warehouse_seconds": round(max(seconds_to(watcher.arrivals.in_warehouse, leads, sent)), 3),
        "runs": runs_since(place, began),
        "cpu_seconds": round(sum(used.values()), 2),
        "cpu_seconds_by_role": used,
    }


def wait_for_runs(place: Installation, seconds: float = 60.0) -> None:
    """Wait until no run is alive and its process is gone."""
    give_up = time.monotonic() + seconds
    while live_runs(place) and time.monotonic() < give_up:
        time.sleep(0.25)
    while runs_alive(place.pid) and time.monotonic() < give_up:
        time.sleep(0.1)


main = script("burst", "C. A burst", measure, parameters)

if __name__ == "__main__":
    main()
