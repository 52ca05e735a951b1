"""What an import in the standard lane does to those who wait for an answer, in the whole stack with Dagster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median

from sqlalchemy import func, select

from benchmarks.burst import wait_for_runs
from benchmarks.crm import Lead
from benchmarks.enrich import DEADLINE_SECONDS, Person, Window, drive, request, warm_up
from benchmarks.journey import warm_up as warm_up_stack
from benchmarks.results import Result
from benchmarks.routing_speed import WARM_UP
from benchmarks.servers import Server
from benchmarks.stack import Installation
from benchmarks.usage import tree
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.store.journal import open_journal
from enrichment_dagster.store.tables import work

_DONE_SECONDS = 300.0


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
    """Put one event for each record into the journal, for the standard lane."""
    now, journal = datetime.now(UTC), open_journal(place.settings)
    events = [
        Event(
            event_id=f"evt_import_{lead.record_id}",
            dedup_key=f"import:{lead.key}",
            event_type="lead_created",
            source="import",
            subject=RecordRef(lead.system, "contact", lead.record_id),
            occurred_at=now,
            received_at=now,
        )
        for lead in leads
    ]
    try:
        asyncio.run(journal.append(events))
    finally:
        journal.close()


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
