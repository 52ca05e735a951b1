"""How many webhooks a second one gateway acknowledges at the most, and how fast at half of what it has to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import func, select

from benchmarks.command import Options, script
from benchmarks.crm import Lead, hubspot_delivery, single_deliveries
from benchmarks.journey import poisson_gaps
from benchmarks.load import Exchange, send
from benchmarks.results import Result
from benchmarks.servers import Server, gateway
from benchmarks.stack import LATENCY_MS, Installation, installation
from benchmarks.stats import percentile, schedule
from enrichment_dagster.composition import open_stores
from enrichment_dagster.store.tables import journal

SINGLES, EVENTS = 500.0, 10_000.0
"""What it has to take a second: webhooks of one event, and events in batches of HubSpot's."""

BATCH = 100
_FIRST_ID = 900_000_000_000  # of contacts that nobody reads: an import waits for Dagster, which does not run here
_GATEWAY = "intake"
_PAUSE_SECONDS = 2.0


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    return {
        "gateway": "one process as in production, journal on disk, leads routed, without Dagster",
        "connections": 64,
        "vendor_latency_ms": LATENCY_MS,
        "singles": {"at_once": 1_000 if options.quick else 5_000, "seconds": 4 if options.quick else 30},
        "batches": {"events": BATCH, "at_once": 100 if options.quick else 600, "seconds": 4 if options.quick else 20},
        "half_rates": {"singles": SINGLES / 2, "batches": EVENTS / 2 / BATCH, "arrivals": "Poisson, open loop"},
    }


def measure(options: Options, result: Result) -> None:
    """Send each kind as fast as answers come, then at half of the rate that is asked for."""
    with installation(options.base_port, keep=options.keep) as place:
        with gateway(place, _GATEWAY) as server:
            source = _Source(place)
            _send(server, result, "warm-up", source.singles(200), at_rate=50.0)
            _send(server, result, "batches at once", source.batches(result.parameters["batches"]["at_once"]))
            _at_half(server, result, "batches", source.batches, EVENTS / 2 / BATCH)
            _send(server, result, "singles at once", source.singles(result.parameters["singles"]["at_once"]))
            _at_half(server, result, "singles", source.singles, SINGLES / 2)
        result.details["lost"] = result.details["accepted"] - _journalled(place)
    judge(result)


class _Source:
    """Makes deliveries that were never made before."""

    def __init__(self, place: Installation) -> None:
        self._place = place
        self._next_id = _FIRST_ID

    def singles(self, count: int) -> list[bytes]:
        return single_deliveries(self._place.crms.create(count), self._place.ports)

    def batches(self, count: int) -> list[bytes]:
        return [hubspot_delivery(self._imported(), self._place.ports, "IMPORT") for _ in range(count)]

    def _imported(self) -> Sequence[Lead]:
        first, self._next_id = self._next_id, self._next_id + BATCH
        now_ms = round(time.time() * 1_000)
        return [Lead("hubspot", str(number), "", "", now_ms) for number in range(first, self._next_id)]


def _at_half(server: Server, result: Result, kind: str, make: Callable[[int], list[bytes]], rate: float) -> None:
    _send(server, result, f"{kind} at half", make(round(rate * result.parameters[kind]["seconds"])), at_rate=rate)


def _send(server: Server, result: Result, label: str, calls: Sequence[bytes], at_rate: float | None = None) -> None:
    """Send calls, all at once without a rate; what waits for a free connection is late, and its latency counts that."""
    time.sleep(_PAUSE_SECONDS)
    due = [0.0] * len(calls) if at_rate is None else schedule(at_rate, len(calls), poisson_gaps(len(calls)))
    cpu = server.cpu_seconds()
    sent = send(server.port, calls, due)
    seconds = max(exchange.due_at + exchange.latency_seconds for exchange in sent) - sent[0].due_at
    result.series[f"{label} ms"] = [exchange.latency_seconds * 1_000 for exchange in sent]
    result.series[f"{label} late ms"] = [exchange.late_seconds * 1_000 for exchange in sent]
    _count(result, sent)
    found = {
        "calls": len(calls),
        "seconds": round(seconds, 3),
        "per_second": round(len(calls) / seconds, 1),
        "cpu_seconds_of_the_gateway": round(server.cpu_seconds() - cpu, 2),
    }
    result.details[label] = found
    print(f"{label}: {found}", flush=True)


def _count(result: Result, sent: Sequence[Exchange]) -> None:
    details = result.details
    details["refused"] = details.get("refused", 0) + sum(not exchange.accepted for exchange in sent)
    details["accepted"] = details.get("accepted", 0) + sum(_accepted(exchange) for exchange in sent)


def _accepted(exchange: Exchange) -> int:
    """Return how many new events the gateway said that it has taken."""
    return int(orjson.loads(exchange.body)["accepted"]) if exchange.accepted else 0


def _journalled(place: Installation) -> int:
    stores = open_stores(replace(place.settings, home=place.home / _GATEWAY))
    try:
        with stores.journal.read() as connection:
            return int(connection.execute(select(func.count()).select_from(journal)).scalar_one())
    finally:
        stores.close()


def judge(result: Result) -> None:
    """Turn the series into figures."""
    details, series = result.details, result.series
    singles = details["singles at once"]["per_second"]
    result.add("webhooks of one event, the most a second", singles, "/s", at_least=SINGLES)
    events = details["batches at once"]["per_second"] * BATCH
    result.add("events in HubSpot batches of 100, the most a second", events, "/s", at_least=EVENTS)
    for label, name in (
        ("singles at half", f"acknowledged, {SINGLES / 2:.0f} webhooks/s of one event"),
        ("batches at half", f"acknowledged, {EVENTS / 2:,.0f} events/s in batches of 100"),
    ):
        result.add(f"{name}, p50", percentile(series[f"{label} ms"], 0.5), "ms")
        result.add(f"{name}, p99", percentile(series[f"{label} ms"], 0.99), "ms", below=50)
        result.add("of that, the generator itself was late by, p99", percentile(series[f"{label} late ms"], 0.99), "ms")
    result.add("not acknowledged with 2xx", details["refused"], "webhooks", at_most=0)
    result.add("acknowledged and not in the journal", details["lost"], "events", at_most=0)


main = script("intake_rates", "A2. The most webhooks a second", measure, parameters)

if __name__ == "__main__":
    main()
