"""A routing lane with ports in memory and a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from support.builders import a_plan, an_event
from support.clock import ManualClock
from support.intake import MemoryJournal
from support.ports import (
    FixedOwnWrites,
    FixedStandings,
    MemoryLedger,
    NotingRoutingStore,
    NotingWorkStore,
    PlainMapper,
    Remembering,
    ScriptedCrm,
    ScriptedLookup,
    hit,
)

from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.routing import RoutingDecision
from enrichment_dagster.engine.delivery import Deliverer
from enrichment_dagster.engine.places import Places
from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.engine.routing import RoutingLane, RoutingResult
from enrichment_dagster.ports import CachePolicy, RoutingConclusion

WANTED = ("company_name", "employees")
ANSWER = hit(company_name="Acme", employees=2_000, title="CTO")
DEADLINE = 1.8


def big(values: dict[str, Any]) -> RoutingDecision:
    large = (values.get("employees") or 0) >= 1_000
    return RoutingDecision("enterprise" if large else "unknown", 0, "enterprise_team" if large else "round_robin")


async def at_once_here(function: Any, *arguments: Any) -> Any:
    """Call without a thread: the manual clock does not see what threads do."""
    return function(*arguments)


class SlowJournal(MemoryJournal):
    """Takes some time to commit."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = 0.0

    async def append(self, events: Sequence[Event]) -> list[bool]:
        await asyncio.sleep(0)
        if self.seconds:
            await self.clock.sleep(self.seconds)
        return await super().append(events)


class Routing:
    """A lane and everything around it."""

    def __init__(self, *lookups: ScriptedLookup, at_once: int = 10, most_waiting: int = 10, **plan: Any) -> None:
        self.clock = ManualClock()
        self.journal = SlowJournal(self.clock)
        self.work = NotingWorkStore(self.clock)
        self.store = NotingRoutingStore(self.work)
        self.own_writes = FixedOwnWrites()
        self.crm = ScriptedCrm(clock=self.clock)
        self.mapper = PlainMapper()
        self.memory = Remembering()
        self.ledger = MemoryLedger(self.clock)
        for lookup in lookups:
            lookup.clock = self.clock
        rng = random.Random(1)
        given = {"wanted": WANTED, "deadline_seconds": DEADLINE, "mode": "parallel", "lane": "routing", **plan}
        self.plan = a_plan(*(lookups or [ScriptedLookup(steps=[ANSWER])]), **given)
        self.lane = RoutingLane(
            plans={"lead_created": self.plan},
            buyer=Buyer(self.ledger, self.clock, RetryPolicy(1, 0.5, 8.0), CachePolicy(60, 60), rng),
            standings=FixedStandings(),
            journal=self.journal,
            store=self.store,
            own_writes=self.own_writes,
            crms={"hubspot": self.crm},
            mapper=self.mapper,
            memory=self.memory,
            deliverer=Deliverer(
                work=self.work, crms={"hubspot": self.crm}, mapper=self.mapper, clock=self.clock, rng=rng
            ),
            validate=lambda candidates: (list(candidates), []),
            decide=lambda values: big(dict(values)),
            places=Places(self.clock, at_once, most_waiting),
            clock=self.clock,
            owner="gateway-1",
            aside=at_once_here,
        )

    async def ask(self, number: int = 1, *, known: dict[str, Any] | None = None, **changes: Any) -> RoutingResult:
        """Ask for a lead of a caller that has no CRM."""
        given = {"subject": RecordRef("api", "lead", str(number)), "source": "api", **changes}
        return await self.lane.answer(an_event(number, at=self.clock.now(), **given), known or {}, DEADLINE)

    def lead(self, number: int = 1, **properties: Any) -> Event:
        """Return the event of a record that the CRM has."""
        event = an_event(number, at=self.clock.now(), attributes={})
        self.crm.records[event.subject] = {"p_email": f"p{number}@acme.com", **properties}
        return event

    async def webhook(self, *events: Event, seconds: float = 0.001) -> list[Event]:
        """Take events as a webhook does that waits so long: reserve, commit, route."""
        reserved = self.lane.reserve(events, [True] * len(events))
        fresh = await self.journal.append(reserved)
        self.lane.take([event for event, new in zip(reserved, fresh, strict=True) if new], seconds)
        return reserved

    async def run(self, until: Any, seconds: float = 30.0) -> None:
        """Let the background work until something is true."""
        tasks = [asyncio.create_task(self.lane.route_webhooks()), asyncio.create_task(self.lane.conclude_finished())]
        give_up = self.clock.monotonic() + seconds
        while not until() and self.clock.monotonic() < give_up:
            await self.clock.sleep(0.01)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        assert until()

    @property
    def concluded(self) -> list[RoutingConclusion]:
        return self.store.conclusions
