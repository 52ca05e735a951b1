"""Runs the whole way of one event in processes that die where they are told to.

Reads jobs from stdin, one JSON object a line, forks for each of them and answers with the child's exit status. A fork
costs a twentieth of a new interpreter.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import random
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from support.builders import a_plan, an_event
from support.clock import START
from support.empty_stores import put_empty_stores
from support.ports import FixedStandings, PlainMapper, ScriptedCrm, ScriptedLookup, hit
from support.rig import LANE, Rig

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.domain.dispatch import LaneState, Policy, RunState, decide
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.engine.batch import BatchRunner
from enrichment_dagster.engine.delivery import Deliverer
from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.ports import CachePolicy, CrmFailure, CrmRecord, RecordUpdate
from enrichment_dagster.store.memory import SqlMemory

RECORD = RecordRef("hubspot", "contact", "1")
POLICY = Policy.of(target_seconds=60, min_linger_seconds=5, at_once=2, per_minute=20, batch=500)


class LaterClock(SystemClock):
    """Each life of the process is some minutes after the one before: its leases have run out."""

    def __init__(self, life: int) -> None:
        self._ahead = START - SystemClock().now() + timedelta(minutes=2 * life)

    def now(self) -> datetime:
        return super().now() + self._ahead


class World:
    """What vendors and CRM saw. Outlives the process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {"calls": 0, "writes": [], "record": {"p_email": "jane.doe@acme.com"}}
        found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    def write(self, found: dict[str, Any]) -> None:
        self.path.write_text(json.dumps(found), encoding="utf-8")


class WorldLookup(ScriptedLookup):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    async def fetch(self, query: Any, timeout_seconds: float, callback_url: str = "") -> Any:
        found = self.world.read()
        self.world.write({**found, "calls": found["calls"] + 1})
        return hit(title="CTO", company_name="Acme", employees=9)


class WorldCrm(ScriptedCrm):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    async def read(self, refs: Sequence[RecordRef], properties: Sequence[str]) -> Mapping[RecordRef, Any]:
        return {ref: CrmRecord(ref, self.world.read()["record"]) for ref in refs}

    async def write(self, updates: Sequence[RecordUpdate]) -> Mapping[RecordRef, CrmFailure | None]:
        found = self.world.read()
        for update in updates:
            found["record"].update(update.properties)
            found["writes"].append(dict(update.properties))
        self.world.write(found)
        return {update.ref: None for update in updates}


def dies_after(thing: Any, name: str) -> None:
    """Let the process die as soon as this method has done its work, before anybody learns of it."""
    method = getattr(thing, name)

    async def waits(*args: Any, **kwargs: Any) -> Any:
        await method(*args, **kwargs)
        os._exit(137)

    def calls(*args: Any, **kwargs: Any) -> Any:
        method(*args, **kwargs)
        os._exit(137)

    setattr(thing, name, waits if inspect.iscoroutinefunction(method) else calls)


async def live(place: Path | str, world: World, life: int, point: str) -> None:
    """One life: receive, tick, run, deliver."""
    rig = Rig(place, LaterClock(life))  # type: ignore[arg-type]
    lookup, crm = WorldLookup(world), WorldCrm(world)
    things = {
        "append": rig.journal,
        "pump": rig.dispatch,
        "assign": rig.dispatch,
        "lease": rig.work,
        "begin": rig.ledger,
        "fetch": lookup,
        "settle": rig.ledger,
        "conclude": rig.work,
        "claim_deliveries": rig.work,
        "write": crm,
        "record_deliveries": rig.work,
    }
    if point:
        dies_after(things[point], point)
    await rig.journal.append([an_event(1, attributes={})])
    for _ in range(3):  # ticks
        rig.dispatch.pump()
        batch_ids = tick(rig)
        for batch_id in batch_ids:
            await run(rig, batch_id, f"run-{life}-{batch_id}", lookup, crm)
    deliverer = Deliverer(
        work=rig.work, crms={"hubspot": crm}, mapper=PlainMapper(), clock=rig.clock, rng=random.Random(1)
    )
    await deliverer.deliver(f"run-{life}")
    rig.close()


def tick(rig: Rig) -> list[str]:
    """Decide as the sensor does. All runs of former lives have ended; a batch that no run took has none."""
    open_batches = [
        batch if not batch.started else type(batch)(**{**fields(batch), "run": RunState.ENDED})
        for batch in rig.dispatch.open_batches(LANE)
    ]
    decision = decide(LaneState(rig.dispatch.due_groups(LANE, 500), open_batches, 0, 0), POLICY, rig.clock.now())
    rig.dispatch.finish(decision.finish)
    rig.dispatch.release(decision.release)
    made = rig.dispatch.hand_over((*decision.retry, *decision.emit), next_attempt=decision.retry)
    new = rig.dispatch.assign(LANE, decision.assign, 500) if decision.assign else None
    return [batch.batch_id for batch in (*made, *([new] if new else []))]


def fields(batch: Any) -> dict[str, Any]:
    return {name: getattr(batch, name) for name in batch.__slots__}


async def run(rig: Rig, batch_id: str, owner: str, lookup: WorldLookup, crm: WorldCrm) -> None:
    lease = rig.work.lease(batch_id, owner)
    if lease is None:
        return
    rng = random.Random(1)
    runner = BatchRunner(
        plan=a_plan(lookup),
        work=rig.work,
        crms={"hubspot": crm},
        mapper=PlainMapper(),
        memory=SqlMemory(rig.ops, rig.clock),
        standings=FixedStandings(),
        buyer=Buyer(rig.ledger, rig.clock, RetryPolicy(3, 0.1, 1), CachePolicy(3_600, 600), rng),
        validate=lambda candidates: (list(candidates), []),
        clock=rig.clock,
        concurrent_events=10,
        renew_seconds=10.0,
        rng=rng,
    )
    await runner.run(lease, rig.work.open_items(batch_id))


def main() -> None:
    # What is imported and read at first use is so once, not in every life.
    with TemporaryDirectory() as folder:
        put_empty_stores(Path(folder))
        asyncio.run(live(Path(folder), World(Path(folder) / "world.json"), 1, ""))
    for line in sys.stdin:
        job = json.loads(line)
        place = job["place"] if "://" in job["place"] else Path(job["place"])
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(live(place, World(Path(job["world"])), job["life"], job["point"]))
            except BaseException as error:  # noqa: BLE001 - a child must not go on as its parent
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
