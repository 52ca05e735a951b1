"""The routing lane: an answer within the deadline, whatever the providers do; the rest is for the standard lane.

The event is in the journal, reserved to this process, before it is answered; the commit runs beside the first calls,
each of which is durable before it is sent. Results and effects are stored in micro-batches after the answer. A process
that dies in between leaves a reservation that runs out: the standard lane finishes the event and finds what was bought
in the cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.event import Event, Lane, RecordRef
from enrichment_dagster.domain.fields import FieldValue, Value
from enrichment_dagster.domain.outcome import RETRYABLE_REASONS, MissingReason, Outcome, decide_outcome
from enrichment_dagster.domain.ranges import out_of_range
from enrichment_dagster.domain.routing import RoutingDecision
from enrichment_dagster.domain.waterfall import Knowledge
from enrichment_dagster.engine.conclude import Validator, conclude
from enrichment_dagster.engine.delivery import Deliverer
from enrichment_dagster.engine.draft import Draft
from enrichment_dagster.engine.places import Places
from enrichment_dagster.engine.plan import Plan
from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.waterfall import enrich_event
from enrichment_dagster.errors import CrmError, StoreError
from enrichment_dagster.ports import (
    Crm,
    CrmFailure,
    CrmRecord,
    Journal,
    RecordMapper,
    RoutingConclusion,
    RoutingStore,
    Standings,
    WorkItem,
    WorkKind,
)

RESERVE = timedelta(seconds=2)
"""How much longer than its deadline an event belongs to the gateway; after that the standard lane takes it."""

ROUTING_SUFFIX = "/routing"
_CONCLUDE_EVERY_SECONDS = 0.1
_CRM_READ_SECONDS = 0.8
_MAX_TOGETHER = 200
_ANSWER_SECONDS = 0.05  # of the deadline, for what comes after the last provider's answer

_log = structlog.get_logger(__name__)

Decide = Callable[[Mapping[str, Value]], RoutingDecision]


@dataclass(frozen=True, slots=True)
class RoutingResult:
    """What is answered. ``status``: "cached", "enriched", "partial", "skipped" or "failed"."""

    event_id: str
    status: str
    reason: str
    values: Mapping[str, FieldValue]
    missing: Mapping[str, MissingReason]
    decision: RoutingDecision
    cost_micros: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class _Finished:
    draft: Draft
    plan: Plan
    result: RoutingResult


@dataclass(slots=True)
class RoutingCounts:
    """What the lane did since the counts were last taken: for the aggregated report."""

    outcomes: dict[str, int] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    cost_micros: int = 0
    overloaded: int = 0


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
        crms: Mapping[str, Crm],
        mapper: RecordMapper,
        deliverer: Deliverer,
        validate: Validator,
        decide: Decide,
        places: Places,
        clock: Clock,
        owner: str,
    ) -> None:
        self._plans = plans
        self._buyer = buyer
        self._standings = standings
        self._journal = journal
        self._store = store
        self._crms = crms
        self._mapper = mapper
        self._deliverer = deliverer
        self._validate = validate
        self._decide = decide
        self._places = places
        self._clock = clock
        self._owner = owner
        self._finished: asyncio.Queue[_Finished] = asyncio.Queue()
        self._webhooks: asyncio.Queue[Event] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
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
        async with self._places.taken(deadline_seconds):
            left = deadline_seconds - (self._clock.monotonic() - started) - _ANSWER_SECONDS
            recorded = asyncio.create_task(self._journal.append([event]))
            draft = await self._enrich(event, known, event.source, left)
            try:
                await recorded
            except Exception as error:
                raise StoreError("the event could not be recorded") from error
            return self._finish(draft, started)

    async def _enrich(self, event: Event, known: Mapping[str, Any], known_from: str, seconds: float) -> Draft:
        plan = self._plans[event.event_type]
        item = WorkItem(event.event_id + ROUTING_SUFFIX, WorkKind.ROUTING, event)
        try:
            return await enrich_event(
                item,
                known,
                plan,
                self._buyer,
                self._clock,
                known_from=known_from,
                standings=await self._standings.current(),
                deadline_seconds=seconds,
            )
        except Exception as error:  # noqa: BLE001 - one event's fault must not cost the others
            _log.exception("an event's routing failed", event_id=event.event_id)
            draft = Draft(item, self._clock.now(), Knowledge(plan.wanted))
            draft.fault = f"internal_error:{type(error).__name__}"
            return draft

    def _finish(self, draft: Draft, started: float) -> RoutingResult:
        plan = self._plans[draft.item.event.event_type]
        _drop_what_is_out_of_range(draft)
        result = self._result(draft, plan, (self._clock.monotonic() - started) * 1_000)
        self._counts.outcomes[result.status] = self._counts.outcomes.get(result.status, 0) + 1
        self._counts.latencies_ms.append(result.latency_ms)
        self._counts.cost_micros += result.cost_micros
        self._finished.put_nowait(_Finished(draft, plan, result))
        return result

    def _result(self, draft: Draft, plan: Plan, latency_ms: float) -> RoutingResult:
        values = draft.knowledge.values
        missing = {} if draft.skip_reason else draft.knowledge.missing_reasons(plan.offered)
        return RoutingResult(
            event_id=draft.item.event.event_id,
            status=_status(draft, missing),
            reason=draft.skip_reason or draft.fault,
            values=values,
            missing=missing,
            decision=self._decide({name: value.value for name, value in values.items()}),
            cost_micros=draft.cost_micros,
            latency_ms=latency_ms,
        )

    # --- webhooks ----------------------------------------------------------------------------------------------------

    def reserve(self, event: Event) -> Event:
        """Return the event as it is to be recorded: reserved to this process if it is routed and there is room."""
        plan = self._plans.get(event.event_type)
        if plan is None or event.skip_reason or self._webhooks.qsize() >= self._places.most_waiting:
            return event
        until = event.received_at + timedelta(seconds=plan.deadline_seconds) + RESERVE
        return replace(event, lane=Lane.ROUTING, reserved_until=until)

    def take(self, events: Sequence[Event]) -> None:
        """Route recorded events soon; those that were not reserved are left to the standard lane."""
        for event in events:
            if event.reserved_until is not None:
                self._webhooks.put_nowait(event)

    async def route_webhooks(self) -> None:
        """Route what ``take`` was given, for ever: together what came together."""
        while True:
            events = await _drained(self._webhooks)
            task = asyncio.create_task(self._route(events))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _route(self, events: Sequence[Event]) -> None:
        records = await self._read(events)
        async with asyncio.TaskGroup() as group:
            for event in events:
                group.create_task(self._route_one(event, records))

    async def _route_one(self, event: Event, records: Mapping[RecordRef, CrmRecord | CrmFailure]) -> None:
        record, ref = records.get(event.subject), event.subject
        started = self._clock.monotonic()
        if not isinstance(record, CrmRecord) and not event.attributes.get("email"):
            return  # whom it is about is not known: the standard lane finds out, or says why not
        known = self._mapper.known(ref, record.properties) if isinstance(record, CrmRecord) else {}
        plan = self._plans[event.event_type]
        draft = await self._enrich(event, known, ref.system, plan.deadline_seconds)
        self._finish(draft, started)

    async def _read(self, events: Sequence[Event]) -> dict[RecordRef, CrmRecord | CrmFailure]:
        """Read the events' records; a CRM that does not answer soon leaves its events to the standard lane."""
        kinds: dict[tuple[str, str], dict[RecordRef, None]] = {}
        for event in events:
            ref = event.subject
            if ref.system in self._crms and self._mapper.knows(ref):
                kinds.setdefault((ref.system, ref.object_type), {})[ref] = None
        found: dict[RecordRef, CrmRecord | CrmFailure] = {}

        async def read(system: str, refs: list[RecordRef]) -> None:
            try:
                async with asyncio.timeout(_CRM_READ_SECONDS):
                    found.update(await self._crms[system].read(refs, self._mapper.properties(refs[0])))
            except (CrmError, TimeoutError) as error:
                _log.info("records could not be read in time for routing", system=system, error=type(error).__name__)

        async with asyncio.TaskGroup() as group:
            for (system, _), refs in kinds.items():
                group.create_task(read(system, list(refs)))
        return found

    # --- after the answer --------------------------------------------------------------------------------------------

    async def conclude_finished(self) -> None:
        """Store and deliver what was answered, for ever, in micro-batches."""
        while True:
            await self._conclude(await _drained(self._finished))
            await self._clock.sleep(_CONCLUDE_EVERY_SECONDS)

    async def drain(self) -> None:
        """Store what was answered and not stored yet; called when the process ends."""
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._finished.empty():
            await self._conclude(await _drained(self._finished))

    async def _conclude(self, batch: Sequence[_Finished]) -> None:
        try:
            now = self._clock.now()
            conclusions = [c for plan in {id(f.plan): f.plan for f in batch}.values() for c in self._of(plan, batch)]
            await self._store.conclude(conclusions, now)
            owed = [c.enrichment.item.work_id for c in conclusions if c.enrichment.outbox is not None]
            if owed:
                self._later(self._deliver(owed))
        except Exception:  # noqa: BLE001 - their reservations run out, and the standard lane takes them
            _log.exception("routing results could not be stored", events=len(batch))

    def _of(self, plan: Plan, batch: Sequence[_Finished]) -> list[RoutingConclusion]:
        finished = [f for f in batch if f.plan is plan]
        enrichments = conclude([f.draft for f in finished], plan, self._mapper, self._validate, self._clock.now())
        conclusions = []
        for one, enrichment in zip(finished, enrichments, strict=True):
            outbox = enrichment.outbox
            if outbox is not None:  # the status is the standard lane's to tell, when it has the rest
                told = self._mapper.routing(outbox.ref, one.result.decision)
                owed = replace(outbox, assign=told)
                outbox = owed if (owed.fill or owed.assign) and not one.draft.skip_reason else None
            stored = replace(enrichment, outbox=outbox, follow_up=None, routing=one.result.decision)
            conclusions.append(RoutingConclusion(stored, self._goes_on(one), one.result.status == "cached"))
        return conclusions

    def _goes_on(self, finished: _Finished) -> bool:
        """Say whether the standard lane has anything to add: a record that waits for all fields, or a later try."""
        if self._mapper.knows(finished.draft.item.event.subject):
            return True
        curable = any(reason in RETRYABLE_REASONS for reason in finished.result.missing.values())
        return bool(finished.draft.fault) or curable

    async def _deliver(self, work_ids: Sequence[str]) -> None:
        try:
            await self._deliverer.deliver(self._owner, work_ids)
        except Exception:  # noqa: BLE001 - what is owed stays owed: the standard lane's runs deliver it
            _log.exception("routing effects could not be delivered", count=len(work_ids))

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _drop_what_is_out_of_range(draft: Draft) -> None:
    """Set aside what the rules of the ledger would refuse later: what was answered must be what is stored."""
    for value in [v for v in draft.knowledge.candidates.values() if out_of_range(v.field, v.value)]:
        draft.knowledge.reject(value, "out_of_range", repr(value.value)[:200])


def _status(draft: Draft, missing: Mapping[str, MissingReason]) -> str:
    if draft.skip_reason:
        return "skipped"
    if draft.fault:
        return "failed"
    outcome = decide_outcome(missing=missing, bought=len(draft.bought))
    asked = [step for step in draft.steps.values() if step.result in {"hit", "miss", "error", "pending"}]
    if outcome is Outcome.ENRICHED:
        return "cached" if asked and all(step.cached for step in asked) else "enriched"
    if outcome is Outcome.FAILED:
        return "failed"
    return "partial" if missing else "cached"


async def _drained(queue: asyncio.Queue[Any]) -> list[Any]:
    """Wait for something and return all that is there by then, up to a limit."""
    found = [await queue.get()]
    while len(found) < _MAX_TOGETHER and not queue.empty():
        found.append(queue.get_nowait())
    return found
