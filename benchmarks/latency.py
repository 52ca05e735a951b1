"""How long a lead takes from its webhook to its CRM and to the warehouse, when few come."""

from __future__ import annotations

import random
import time
from typing import Any

from benchmarks.command import Options, script
from benchmarks.hops import hops_of
from benchmarks.journey import Watcher, deliver, seconds_to, warm_up
from benchmarks.results import Result
from benchmarks.stack import Installation, installation
from benchmarks.stats import percentile, summary

GAP_SECONDS = 8.0
LOOK_SECONDS = 0.1
JITTER_SECONDS = 2.5
"""Half of the sensor loop: a lone event may fall anywhere into it."""


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    return {
        "lone_events": 3 if options.quick else 20,
        "gap_seconds": GAP_SECONDS,
        "jitter_seconds": JITTER_SECONDS,
        "stream_per_second": 1.0,
        "stream_events": 10 if options.quick else 60,
        "vendor_latency_ms": 50,
    }


def measure(options: Options, result: Result) -> None:
    """Lone events first, then a steady stream."""
    with installation(options.base_port, keep=options.keep) as place, place.running():
        warm_up(place)
        lone(place, result)
        time.sleep(GAP_SECONDS)
        stream(place, result)
    crm, lake = result.series["lone to CRM s"], result.series["lone to warehouse s"]
    result.add("lone event, POST to CRM updated, p50", percentile(crm, 0.5), "s", below=4)
    result.add("lone event, POST to CRM updated, worst", max(crm), "s")
    result.add("lone event, POST to row in DuckDB, p50", percentile(lake, 0.5), "s")
    crm, lake = result.series["stream to CRM s"], result.series["stream to warehouse s"]
    result.add("1 event/s, POST to CRM updated, p50", percentile(crm, 0.5), "s", below=7)
    result.add("1 event/s, POST to CRM updated, p95", percentile(crm, 0.95), "s", below=12)
    result.add("1 event/s, POST to row in DuckDB, p50", percentile(lake, 0.5), "s")
    result.add("1 event/s, POST to row in DuckDB, p95", percentile(lake, 0.95), "s")


def lone(place: Installation, result: Result) -> None:
    """Send events so far apart that none meets another."""
    rng, sent = random.Random(11), []
    leads = place.crms.create(result.parameters["lone_events"])
    with Watcher(place) as watcher:
        for number, lead in enumerate(leads, start=1):
            begun = time.monotonic()
            sent += deliver(place, [lead], [0.0])
            watcher.wait_for([lead], 60)
            took = watcher.arrivals.in_crm[lead.key] - sent[-1].due_at
            print(f"lone event {number}: CRM after {took:.2f} s", flush=True)
            pause = GAP_SECONDS + rng.uniform(-JITTER_SECONDS, JITTER_SECONDS)
            time.sleep(max(1.0, pause - (time.monotonic() - begun)))
    result.series["lone to CRM s"] = seconds_to(watcher.arrivals.in_crm, leads, sent)
    result.series["lone to warehouse s"] = seconds_to(watcher.arrivals.in_warehouse, leads, sent)
    hops = hops_of(place, leads, sent, watcher.arrivals)
    result.details["hops of a lone event, s"] = {name: summary(values) for name, values in hops.items()}


def stream(place: Installation, result: Result) -> None:
    """Send one event a second, looking for arrivals in between."""
    leads = place.crms.create(result.parameters["stream_events"])
    print(f"stream: {len(leads)} events at 1/s ...", flush=True)
    sent, start = [], time.monotonic()
    with Watcher(place) as watcher:
        for number, lead in enumerate(leads):
            while (wait := start + number - time.monotonic()) > 0:
                watcher.look()
                time.sleep(min(LOOK_SECONDS, wait))
            sent += deliver(place, [lead], [0.0])
        watcher.wait_for(leads, 90)
    result.series["stream to CRM s"] = seconds_to(watcher.arrivals.in_crm, leads, sent)
    result.series["stream to warehouse s"] = seconds_to(watcher.arrivals.in_warehouse, leads, sent)


main = script("latency", "B. Time to the CRM, few events", measure, parameters)

if __name__ == "__main__":
    main()
