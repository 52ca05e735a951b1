"""The routing lane: an answer within the deadline, whatever the providers do; the rest is for the standard lane.

The event is in the journal, reserved to this process, before it is answered; the commit runs beside the first calls,
each of which is durable before it is sent. Results and effects are stored in micro-batches after the answer. A process
that dies in between leaves a reservation that runs out: the standard lane finishes the event and finds what was bought
in the cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.eligibility import Standing
from enrichment_dagster.domain.event import Event, Lane
from enrichment_dagster.domain.waterfall import Knowledge
from enrichment_dagster.engine.adaptive import AdaptiveLimit
from enrichment_dagster.engine.circumstances import circumstances_of, identify
from enrichment_dagster.engine.conclude import Validator
from enrichment_dagster.engine.concluder import Aside, Concluder, drained
from enrichment_dagster.engine.delivery import Deliverer
from enrichment_dagster.engine.draft import Draft
from enrichment_dagster.engine.places import Places
from enrichment_dagster.engine.plan import Plan
from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.records import Records, read_soon
from enrichment_dagster.engine.routing_result import Decide, RoutingCounts, RoutingResult, finish
from enrichment_dagster.engine.tasks import Tasks
from enrichment_dagster.engine.waiting import first_done
from enrichment_dagster.engine.waterfall import Orders, enrich_event, orders_now
from enrichment_dagster.errors import Overloaded, StoreError
from enrichment_dagster.ports import (
    ROUTING_SUFFIX,
    Crm,
    CrmFailure,
    CrmRecord,
    Journal,
    Memory,
    OwnWrites,
    ProviderStanding,
    RecordMapper,
    RoutingStore,
    Standings,
    WorkItem,
    WorkKind,
)

__all__ = ["RESERVE", "RoutingCounts", "RoutingLane", "RoutingResult"]

RESERVE = timedelta(seconds=2)
"""How much longer than its deadline an event belongs to the gateway; after that the standard lane takes it."""

DRAIN_SECONDS = 4.0
MOST_IN_HAND = 256
"""Webhooks' events that are routed at once; what comes on top of them is the standard lane's."""

USUAL_IN_HAND, LEAST_IN_HAND = 32, 8
SLOW_WEBHOOK_SECONDS = 0.015
"""Where a webhook waits longer than this to be stored, fewer are routed: senders must not wait for what is optional."""

_CRM_READ_SECONDS = 0.8
_ANSWER_SHARE, _ANSWER_SECONDS = 0.3, 0.1  # of the deadline, the lesser: for what comes after the last answer
_RECORD_SECONDS = 0.25  # the least that the journal gets: who is in a greater hurry waits for it all the same
_LEAST_SECONDS = 0.1  # with less time left than this nobody is asked
_LINE_SHARE = 0.5  # of the deadline, for waiting in line: the rest must do for the providers

_log = structlog.get_logger(__name__)


class RoutingLane:
    """Answers requests and routes fresh leads inside the resident process."""

    def __init__(
        self,
        *,
        plans: Mapping[str, Plan],
        buyer: Buyer,
        standings: Standings,
        journal: Journal,
        store: RoutingStore,
        own_writes: OwnWrites,
        crms: Mapping[str, Crm],
        mapper: RecordMapper,
        memory: Memory,
        deliverer: Deliverer,
        validate: Validator,
        decide: Decide,
        places: Places,
        clock: Clock,
        owner: str,
        aside: Aside = asyncio.to_thread,
    ) -> None:
        self._plans = plans
        self._buyer = buyer
        self._standings = standings
        self._journal = journal
        self._own_writes = own_writes
        self._crms = crms
        self._mapper = mapper
        self._memory = memory
        self._decide = decide
        self._places = places
        self._clock = clock
        self._tasks = Tasks()
        self._concluder = Concluder(
            store=store,
            mapper=mapper,
            deliverer=deliverer,
            validate=validate,
            clock=clock,
            tasks=self._tasks,
            owner=owner,
            aside=aside,
        )
        self._webhooks: asyncio.Queue[Event] = asyncio.Queue()
        self._orders: dict[str, tuple[Mapping[str, ProviderStanding], Orders]] = {}
        self._in_hand = 0  # events of webhooks that are not routed yet
        self._room = AdaptiveLimit(
            clock, least=LEAST_IN_HAND, usual=USUAL_IN_HAND, most=MOST_IN_HAND, slow_seconds=SLOW_WEBHOOK_SECONDS
        )
        self._counts = RoutingCounts()

    def routes(self, event_type: str) -> bool:
        """Say whether this type has a routing plan."""
        return event_type in self._plans

    def take_counts(self) -> RoutingCounts:
        """Return what was done since the last call."""
        counts, self._counts = self._counts, RoutingCounts()
        return counts

    # --- requests ----------------------------------------------------------------------------------------------------

    async def answer(self, event: Event, known: Mapping[str, Any], deadline_seconds: float) -> RoutingResult:
        """Record the event, enrich it within the deadline and return what is there.

        Raises:
            Overloaded: too many requests are being answered and wait; nothing was recorded.
            StoreError: the event could not be recorded; nothing may be told of it.
        """
        started = self._clock.monotonic()
        try:
            async with self._places.taken(deadline_seconds * _LINE_SHARE):
                return await self._answer(_reserved(event, deadline_seconds), known, started, deadline_seconds)
        except Overloaded:
            self._counts.overloaded += 1
            raise

    async def _answer(self, event: Event, known: Mapping[str, Any], started: float, seconds: float) -> RoutingResult:
        until = started + seconds
        recorded = self._tasks.start(self._record(event))
        left = until - self._clock.monotonic() - min(seconds * _ANSWER_SHARE, _ANSWER_SECONDS)
        draft = await self._enrich(event, known, event.source, left)
        if not await first_done([recorded], self._clock, max(until, started + _RECORD_SECONDS)):
            raise StoreError("the event could not be recorded in time")
        if (error := recorded.exception()) is not None:
            raise StoreError("the event could not be recorded") from error
        return self._finish(draft, self._clock.monotonic() - started)

    async def _record(self, event: Event) -> None:
        begun = self._clock.monotonic()
        await self._journal.append([event])
        self._places.felt(self._clock.monotonic() - begun)

    async def _enrich(
        self,
        event: Event,
        known: Mapping[str, Any],
        known_from: str,
        seconds: float,
        standing: Standing | None = None,
    ) -> Draft:
        plan = self._plans[event.event_type]
        item = WorkItem(event.event_id + ROUTING_SUFFIX, WorkKind.ROUTING, event)
        try:
            standings = await self._standings.current()
            identity = identify(item, known)
            fresh = plan.rules.fresh
            recalled = await self._memory.recall(identity.keys, None if fresh is None else self._clock.now() - fresh)
            return await enrich_event(
                item,
                known,
                plan,
                self._buyer,
                self._clock,
                known_from=known_from,
                standings=standings,
                orders=self._orders_of(event.event_type, standings),
                deadline_seconds=seconds,
                circumstances=circumstances_of(item, identity, recalled, standing),
            )
        except Exception as error:  # noqa: BLE001 - one event's fault must not cost the others
            _log.exception("an event's routing failed", event_id=event.event_id)
            draft = Draft(item, self._clock.now(), Knowledge(plan.wanted))
            draft.fault = f"internal_error:{type(error).__name__}"
            return draft

    def _orders_of(self, event_type: str, standings: Mapping[str, ProviderStanding]) -> Orders:
        """Return the plan's orders; many events share the standings that they follow from."""
        known = self._orders.get(event_type)
        if known is None or known[0] is not standings:
            known = self._orders[event_type] = (standings, orders_now(self._plans[event_type], standings))
        return known[1]

    def _finish(self, draft: Draft, seconds: float) -> RoutingResult:
        finished = finish(draft, self._plans[draft.item.event.event_type], self._decide, seconds * 1_000)
        self._counts.add(finished.result)
        self._concluder.put(finished)
        return finished.result

    # --- webhooks ----------------------------------------------------------------------------------------------------

    def reserve(self, events: Sequence[Event], urgent: Sequence[bool]) -> list[Event]:
        """Return events as they are to be recorded: reserved to this process if they are urgent and there is room."""
        free = int(self._room.value) - self._in_hand
        marked = []
        for event, soon in zip(events, urgent, strict=True):
            plan = self._plans.get(event.event_type) if soon and free > 0 and not event.skip_reason else None
            marked.append(event if plan is None else _reserved(event, plan.deadline_seconds))
            free -= plan is not None
        return marked

    def take(self, events: Sequence[Event], stored_after_seconds: float) -> None:
        """Route recorded events soon; those that were not reserved are left to the standard lane.

        ``stored_after_seconds``: how long their webhook has waited, which tells how many can be routed meanwhile.
        """
        self._room.felt(stored_after_seconds, self._in_hand)
        for event in events:
            if event.reserved_until is not None:
                self._in_hand += 1
                self._webhooks.put_nowait(event)

    async def route_webhooks(self) -> None:
        """Route what ``take`` was given, for ever: together what came together."""
        while True:
            self._tasks.start(self._route(await drained(self._webhooks)))

    async def _route(self, events: Sequence[Event]) -> None:
        routed: set[str] = set()
        try:
            echoes = await self._own_writes.caused(events)  # they end where the journal's events become work
            wanted = [event for event in events if event.event_id not in echoes]
            records = await read_soon(wanted, self._crms, self._mapper, self._clock, _CRM_READ_SECONDS)
            done = await asyncio.gather(*(self._route_one(event, records) for event in wanted))
            routed = {event.event_id for event, is_done in zip(wanted, done, strict=True) if is_done}
        except Exception:  # noqa: BLE001 - a fault of ours must not make leads wait for their reservations' end
            _log.exception("leads could not be routed", events=len(events))
        finally:
            self._in_hand -= len(events)
        if left := [event.event_id for event in events if event.event_id not in routed]:
            await self._concluder.leave(left)

    async def _route_one(self, event: Event, records: Records) -> bool:
        """Route one event; False where it is left to the standard lane."""
        record, plan = records.get(event.subject), self._plans[event.event_type]
        if isinstance(record, CrmFailure) or (record is None and not event.attributes.get("email")):
            return False  # gone, locked or unknown: the standard lane finds out, or says why not
        try:
            async with self._places.taken(self._left(event, plan) * _LINE_SHARE):
                left = self._left(event, plan)
                if left < _LEAST_SECONDS:
                    return False
                known, standing = self._read_of(record)
                draft = await self._enrich(event, known, event.subject.system, left, standing)
                self._finish(draft, self._age(event))
        except Overloaded:
            self._counts.overloaded += 1
            return False
        except Exception:  # noqa: BLE001 - as above
            _log.exception("a lead could not be routed", event_id=event.event_id)
            return False
        return True

    def _read_of(self, record: CrmRecord | None) -> tuple[Mapping[str, Any], Standing | None]:
        if record is None:
            return {}, None
        return self._mapper.known(record.ref, record.properties), self._mapper.standing(record.ref, record.properties)

    def _age(self, event: Event) -> float:
        return (self._clock.now() - event.received_at).total_seconds()

    def _left(self, event: Event, plan: Plan) -> float:
        return max(0.0, plan.deadline_seconds - self._age(event))

    # --- after the answer --------------------------------------------------------------------------------------------

    async def conclude_finished(self) -> None:
        """Store and deliver what was answered, for ever, in micro-batches."""
        await self._concluder.run()

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Route, store and deliver what is in hand, when the process ends.

        What takes longer is left to reservations that run out and to the outbox: nothing is lost.
        """
        until = self._clock.monotonic() + seconds
        while True:
            if not self._webhooks.empty():
                self._tasks.start(self._route(await drained(self._webhooks)))
            await self._concluder.flush()
            await asyncio.sleep(0)  # what has just ended is taken off the lists by the loop
            # Calls that were given up at their deadline too: their answers are paid for.
            running = [*self._tasks.running, *self._buyer.in_flight]
            if not running or self._clock.monotonic() >= until:
                break
            await first_done(running, self._clock, until)
        self._tasks.cancel()


def _reserved(event: Event, deadline_seconds: float) -> Event:
    until = event.received_at + timedelta(seconds=deadline_seconds) + RESERVE
    return replace(event, lane=Lane.ROUTING, reserved_until=until)
