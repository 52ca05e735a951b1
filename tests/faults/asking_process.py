"""A worker that enriches leads in a process of its own: ready, go, done. Reads its job from the first argument.

``{"batch_id": ..., "owner": ...}`` is what a run does; ``{"email": ..., "events": n}`` is what the gateway does for
events that it answers itself: no batch, no lease, no calls together with others.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.builders import an_item

from enrichment_dagster.composition import (
    Stores,
    build_plan,
    build_policies,
    cache_policy,
    enrich_batch,
    open_stores,
    open_worker,
)
from enrichment_dagster.engine.draft import Draft
from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.engine.waterfall import enrich_event
from enrichment_dagster.http.clients import RemoteClients
from enrichment_dagster.logs import configure_logging
from enrichment_dagster.providers.registry import build_lookups
from enrichment_dagster.settings import Settings, load_settings
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.ledger import SqlLedger

LANE = "lead_created"


async def ask(settings: Settings, stores: Stores, email: str, events: int) -> list[Draft]:
    """Enrich events about one person at once, with a ledger and a buyer of this process."""
    committer = GroupCommitter(stores.ops, "gateway")
    try:
        async with RemoteClients() as clients:
            plan = build_plan(settings, LANE, build_lookups(settings, clients))
            ledger = SqlLedger(committer, stores.clock, build_policies(settings))
            retry = RetryPolicy(attempts=1, first_delay_seconds=0.1, max_delay_seconds=1)
            buyer = Buyer(ledger, stores.clock, retry, cache_policy(settings), random.Random(1))
            items = [an_item(number, attributes={"email": email}) for number in range(events)]
            known = {"email": email}
            return await asyncio.gather(
                *(enrich_event(item, known, plan, buyer, stores.clock, known_from="hubspot") for item in items)
            )
    finally:
        committer.close()


def work(settings: Settings, stores: Stores, job: dict[str, Any]) -> dict[str, int]:
    """Do the job; say for how many events, and what they were charged."""
    if "batch_id" in job:
        report = enrich_batch(settings, stores, LANE, job["batch_id"], job["owner"])
        return {"events": report.outcomes.total(), "cost_micros": report.cost_micros}
    drafts = asyncio.run(ask(settings, stores, job["email"], job["events"]))
    return {"events": len(drafts), "cost_micros": sum(draft.cost_micros for draft in drafts)}


async def _import_all(settings: Settings, stores: Stores) -> None:
    async with open_worker(settings, stores, LANE):
        pass


def main() -> None:
    settings = load_settings()
    configure_logging("asking", json=False)
    stores = open_stores(settings)
    asyncio.run(_import_all(settings, stores))
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(work(settings, stores, json.loads(sys.argv[1]))), flush=True)
    stores.close()


if __name__ == "__main__":
    main()
