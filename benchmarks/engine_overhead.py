"""What the engine costs above the calls that it makes: the same calls by the bare lookups, subtracted."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from sqlalchemy import select

from benchmarks.batch import EVENT_TYPE, OWNER, clocked, engine_stores, receive
from benchmarks.command import Options, script
from benchmarks.crm import Lead
from benchmarks.results import Result
from benchmarks.stack import LATENCY_MS, Installation, installation
from enrichment_dagster.composition import Stores, enrich_batch
from enrichment_dagster.domain.normalise import email_domain
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http.clients import RemoteClients
from enrichment_dagster.ports import Lookup, Query
from enrichment_dagster.providers.registry import build_lookups
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.tables import attempts

_AT_ONCE = 100


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    return {
        "leads": 100 if options.quick else 500,
        "repetitions": 1 if options.quick else 5,
        "vendor_latency_ms": LATENCY_MS,
        "limits": "lifted",
        "asked": "a lead and a lookup, sent to the vendor; what the cache answers is not counted",
    }


def measure(options: Options, result: Result) -> None:
    """Enrich a batch, then make its calls without the engine; imports are made before."""
    with installation(options.base_port, keep=options.keep) as place:
        one_round(place, 50)
        found = [one_round(place, result.parameters["leads"]) for _ in range(result.parameters["repetitions"])]
    result.details["rounds"] = found
    best = min(found, key=lambda entry: entry["overhead_ms"])
    result.series["overhead_ms"] = [entry["overhead_ms"] for entry in found]
    result.add("lookups asked for a lead", best["asked"] / result.parameters["leads"], "lookups")
    result.add("processor, engine, for each lead and lookup", best["engine_cpu"] / best["asked"] * 1e3, "CPU-ms")
    result.add("processor, the bare calls, for each lead and lookup", best["bare_cpu"] / best["asked"] * 1e3, "CPU-ms")
    result.add("overhead of the engine, best round", best["overhead_ms"], "CPU-ms", below=1)
    result.add("overhead of the engine, median", median(result.series["overhead_ms"]), "CPU-ms")


def one_round(place: Installation, count: int) -> dict[str, float]:
    """Return the processor seconds of the engine and of its calls alone."""
    leads = place.crms.create(count)
    with engine_stores(place) as (settings, stores):
        (batch_id,) = receive(settings, stores, leads)
        engine = clocked(lambda: enrich_batch(settings, stores, EVENT_TYPE, batch_id, OWNER))
        asked = what_was_asked(stores, leads)
    bare_cpu = asyncio.run(bare_calls(settings, asked))
    calls = sum(len(queries) for queries in asked.values())
    found = {
        "asked": calls,
        "engine_cpu": engine["cpu"],
        "bare_cpu": round(bare_cpu, 3),
        "overhead_ms": round((engine["cpu"] - bare_cpu) / calls * 1_000, 3),
    }
    print(found, flush=True)
    return found


def what_was_asked(stores: Stores, leads: Sequence[Lead]) -> dict[str, list[Query]]:
    """Return the queries that were sent, by lookup."""
    by_event = {f"evt_{lead.system}_{lead.record_id}": lead for lead in leads}
    asked = defaultdict(list)
    with stores.ops.read() as connection:
        for row in connection.execute(select(attempts.c.provider, attempts.c.purpose, attempts.c.event_id)):
            email = by_event[row.event_id].email
            asked[f"{row.provider}.{row.purpose}"].append(Query(email=email, domain=email_domain(email)))
    return dict(asked)


async def bare_calls(settings: Settings, asked: Mapping[str, list[Query]]) -> float:
    """Make the calls with nothing around them, as many at once; returns the processor seconds."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def call(lookup: Lookup, queries: Sequence[Query]) -> None:
        async with slots:
            try:
                if len(queries) == 1:
                    await lookup.fetch(queries[0], lookup.timeout_seconds)
                else:
                    await lookup.fetch_many(queries, lookup.timeout_seconds)
            except ProviderError as error:
                raise RuntimeError("a bare call failed: the comparison is void") from error

    async with RemoteClients() as clients:
        lookups = build_lookups(settings, clients)
        began = time.process_time()
        async with asyncio.TaskGroup() as group:
            for name, queries in asked.items():
                size = lookups[name].bulk_size
                for start in range(0, len(queries), size):
                    group.create_task(call(lookups[name], queries[start : start + size]))
        return time.process_time() - began


main = script("engine_overhead", "E3. What the engine costs above its calls", measure, parameters)

if __name__ == "__main__":
    main()
