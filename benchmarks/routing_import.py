"""What an import in the standard lane does to those who wait for an answer, in the whole stack with Dagster."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

from sqlalchemy import func, select

from benchmarks.burst import wait_for_runs
from benchmarks.crm import Lead, hubspot_delivery
from benchmarks.enrich import DEADLINE_SECONDS, Person, Window, drive, request, warm_up
from benchmarks.journey import warm_up as warm_up_stack
from benchmarks.load import send
from benchmarks.results import Result
from benchmarks.routing_speed import WARM_UP
from benchmarks.servers import Server
from benchmarks.stack import Installation
from benchmarks.usage import tree
from enrichment_dagster.store.tables import work

_DONE_SECONDS = 300.0
_PER_CALL = 100
_CALLS_PER_SECOND = 20.0


def beside_import(place: Installation, people: Sequence[Person], result: Result) -> None:
    """(g) By turns: nothing else to do, and an import of thousands of rows under way."""
    sizes = result.parameters["beside_import"]
    place.crms.set_latency(sizes["provider_ms"])
    count, queue = round(sizes["rate"] * sizes["seconds"]), list(people)
    quiet: list[Window] = []
    busy: list[Window] = []
    left: list[int] = []
    with place.running():
        server = Server("gateway", place.ports.gateway, _gateway_pid(place))
        warm_up_stack(place)
        warm_up(server, [queue.pop() for _ in range(WARM_UP)])
        for number in range(sizes["rounds"]):
            for importing, windows in ((False, quiet), (True, busy)):
                if importing:
                    import_rows(place, place.crms.create(sizes["rows"], salesforce_share=0.0))
                    time.sleep(sizes["lead_in_seconds"])
                asked = [request(queue.pop()) for _ in range(count)]
                windows.append(drive(server, asked, sizes["rate"], seed=number))
                if importing:
                    left.append(_unfinished(place))
                    print(f"rows of the import not finished when the load ended: {left[-1]}", flush=True)
                    _wait_until_done(place)
    _judge(result, quiet, busy, left)


def import_rows(place: Installation, leads: Sequence[Lead]) -> None:
    """Announce records as HubSpot announces a list import: a hundred a call, all within seconds.

    Raises:
        RuntimeError: the gateway refused a call.
    """
    groups = [leads[first : first + _PER_CALL] for first in range(0, len(leads), _PER_CALL)]
    calls = [hubspot_delivery(group, place.ports, "IMPORT") for group in groups]
    sent = send(place.ports.gateway, calls, [number / _CALLS_PER_SECOND for number in range(len(calls))])
    if not all(exchange.accepted for exchange in sent):
        raise RuntimeError("the gateway refused a part of the import")


def _judge(result: Result, quiet: Sequence[Window], busy: Sequence[Window], left: Sequence[int]) -> None:
    result.details["beside import"] = {
        "without": [window.as_data() for window in quiet],
        "with": [window.as_data() for window in busy],
        "rows not finished when the load ended": list(left),
    }
    ratios = [b.p(0.95) / q.p(0.95) for q, b in zip(quiet, busy, strict=True)]
    late = sum(ms > DEADLINE_SECONDS * 1_000 for window in (*quiet, *busy) for ms in window.latencies_ms)
    rows, rate = result.parameters["beside_import"]["rows"], result.parameters["beside_import"]["rate"]
    result.add(f"whole stack, {rate:.0f}/s, without an import, p95", median(w.p(0.95) for w in quiet), "ms")
    result.add(f"whole stack, {rate:.0f}/s, with an import of {rows:,}, p95", median(w.p(0.95) for w in busy), "ms")
    result.add("p95 with an import to p95 without, median of the rounds", median(ratios), "x", at_most=1.5)
    result.add("answers later than their deadline, with an import or without", late, "requests", at_most=0)
    refused = sum(window.refused for window in (*quiet, *busy))
    result.add("not answered with 2xx, with an import or without", refused, "requests", at_most=0)


def _gateway_pid(place: Installation) -> int:
    mark = "enrichment_dagster.gateway.main"
    return next(process.pid for process in tree(place.pid) if mark in " ".join(process.cmdline()))


def _unfinished(place: Installation) -> int:
    with place.stores() as stores, stores.ops.read() as connection:
        open_work = select(func.count()).where(work.c.kind == "event", work.c.state != "done")
        return int(connection.execute(open_work).scalar_one())


def _wait_until_done(place: Installation) -> None:
    give_up = time.monotonic() + _DONE_SECONDS
    while _unfinished(place) and time.monotonic() < give_up:
        time.sleep(1)
    wait_for_runs(place)
