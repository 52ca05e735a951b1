"""Enriching a batch: read its records by the hundred, work their events at once, store what is ready together."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.eligibility import Standing
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.waterfall import Knowledge
from enrichment_dagster.engine.circumstances import Circumstances, Identity, circumstances_of, identify
from enrichment_dagster.engine.conclude import Validator, conclude
from enrichment_dagster.engine.draft import NOTHING, Draft
from enrichment_dagster.engine.plan import Plan
from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.retry import backoff_seconds
from enrichment_dagster.engine.tray import Tray
from enrichment_dagster.engine.waterfall import Orders, enrich_event, orders_now
from enrichment_dagster.errors import CrmError, LeaseLost
from enrichment_dagster.ports import (
    Crm,
    CrmFailure,
    CrmRecord,
    Deferral,
    Lease,
    Memory,
    ProviderStanding,
    RecordMapper,
    Standings,
    WorkItem,
    WorkStore,
)

_FIRST_DEFERRAL_SECONDS = 15.0
_LONGEST_DEFERRAL_SECONDS = 900.0
_MOST_AT_ONCE = 200
"""Results that are validated and stored together at the most: the event loop does nothing else meanwhile."""

_READ_TOGETHER = 200
"""Records that are read before work on them begins: one or two calls at what CRMs take in one."""

_log = structlog.get_logger(__name__)

Records = Mapping[RecordRef, CrmRecord | CrmFailure]


@dataclass(slots=True)
class BatchReport:
    """What became of a batch: counts by outcome, and milliseconds since the events' reception, for percentiles."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    deferred: int = 0
    cost_micros: int = 0
    fields_bought: int = 0
    values_rejected: int = 0
    wait_ms: list[float] = field(default_factory=list)  # received -> started
    work_ms: list[float] = field(default_factory=list)  # started -> finished

    def add(self, other: BatchReport) -> None:
        """Count another batch's events too."""
        self.outcomes += other.outcomes
        self.reasons += other.reasons
        self.deferred += other.deferred
        self.cost_micros += other.cost_micros
        self.fields_bought += other.fields_bought
        self.values_rejected += other.values_rejected
        self.wait_ms += other.wait_ms
        self.work_ms += other.work_ms


class BatchRunner:
    """Enriches batches of one event type."""

    def __init__(
        self,
        *,
        plan: Plan,
        work: WorkStore,
        crms: Mapping[str, Crm],
        mapper: RecordMapper,
        memory: Memory,
        buyer: Buyer,
        standings: Standings,
        validate: Validator,
        clock: Clock,
        concurrent_events: int,
        renew_seconds: float,
        rng: random.Random,
    ) -> None:
        self._plan = plan
        self._work = work
        self._crms = crms
        self._mapper = mapper
        self._memory = memory
        self._buyer = buyer
        self._standings = standings
        self._validate = validate
        self._clock = clock
        self._slots = asyncio.Semaphore(concurrent_events)
        self._renew_seconds = renew_seconds
        self._rng = rng
        self._ordered_for: Mapping[str, ProviderStanding] = {}
        self._order = orders_now(plan, self._ordered_for)

    async def run(self, lease: Lease, items: Sequence[WorkItem]) -> BatchReport:
        """Bring every item of a leased batch to a final state, or defer it.

        Raises:
            LeaseLost: another run took the batch over; what was stored before stands.
        """
        report = BatchReport()
        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(self._keep_lease(lease))
                await self._process(lease, items, report)
                keeper.cancel()
        except BaseExceptionGroup as group_error:  # not except*: what that raises arrives wrapped in a group again
            if group_error.subgroup(LeaseLost) is not None:
                raise LeaseLost(lease.batch_id) from group_error
            raise
        return report

    async def _keep_lease(self, lease: Lease) -> None:
        with suppress(asyncio.CancelledError):
            while True:
                await self._clock.sleep(self._renew_seconds)
                lease = await self._work.renew(lease)

    async def _process(self, lease: Lease, items: Sequence[WorkItem], report: BatchReport) -> None:
        ready: Tray[Draft | Deferral] = Tray(len(items), _MOST_AT_ONCE, self._clock)
        kinds: dict[tuple[str, str], list[WorkItem]] = {}  # a kind of record has properties of its own
        for item in items:
            ref = item.event.subject
            kinds.setdefault((ref.system, ref.object_type), []).append(item)
        async with asyncio.TaskGroup() as group:
            for same_kind in kinds.values():
                group.create_task(self._begin(same_kind, ready, group))
            while ready.left:
                await self._store(lease, await ready.take(), report)

    async def _begin(self, items: Sequence[WorkItem], ready: Tray[Draft | Deferral], group: asyncio.TaskGroup) -> None:
        """Read records of one kind, some at a time, and begin with their events as soon as they are there."""
        records: Records | None = {}
        for first in range(0, len(items), _READ_TOGETHER):
            part = items[first : first + _READ_TOGETHER]
            if records is not None:
                records = await self._read(part)
            circumstances = await self._circumstances(part, records or {})
            for item in part:
                about = circumstances.get(item.work_id, NOTHING)
                group.create_task(self._work_on(item, records, about, ready))

    async def _read(self, items: Sequence[WorkItem]) -> Records | None:
        """Return the items' records; None when their CRM does not answer. There are none where no CRM is known."""
        ref = items[0].event.subject
        if ref.system not in self._crms or not self._mapper.knows(ref):
            return {}
        refs = list(dict.fromkeys(item.event.subject for item in items))
        try:
            return await self._crms[ref.system].read(refs, self._mapper.properties(ref))
        except CrmError:
            return None

    async def _circumstances(self, items: Sequence[WorkItem], records: Records) -> dict[str, Circumstances]:
        """Return what is stored of the items' subjects, asked for together, by work id."""
        identities = {item.work_id: found for item in items if (found := self._identify(item, records)) is not None}
        keys = {key for identity in identities.values() for key in identity.keys}
        fresh = self._plan.rules.fresh
        recalled = await self._memory.recall(keys, None if fresh is None else self._clock.now() - fresh)
        return {
            item.work_id: circumstances_of(item, identities[item.work_id], recalled, self._standing(item, records))
            for item in items
            if item.work_id in identities
        }

    def _identify(self, item: WorkItem, records: Records) -> Identity | None:
        try:
            return identify(item, self._known(item, records))
        except Exception:  # noqa: BLE001 - the item's own work comes to the same error, and fails alone
            return None

    def _known(self, item: WorkItem, records: Records) -> Mapping[str, Any]:
        record = records.get(item.event.subject)
        return self._mapper.known(record.ref, record.properties) if isinstance(record, CrmRecord) else {}

    def _standing(self, item: WorkItem, records: Records) -> Standing | None:
        record = records.get(item.event.subject)
        return self._mapper.standing(record.ref, record.properties) if isinstance(record, CrmRecord) else None

    async def _work_on(
        self,
        item: WorkItem,
        records: Records | None,
        circumstances: Circumstances,
        ready: Tray[Draft | Deferral],
    ) -> None:
        async with self._slots:
            try:
                result = await self._draft(item, records, circumstances)
            except Exception as error:  # noqa: BLE001 - one event's fault must not cost the batch
                _log.exception("an event's enrichment failed", event_id=item.event.event_id)
                result = Draft(item, self._clock.now(), Knowledge(self._plan.wanted))
                result.fault = f"internal_error:{type(error).__name__}"
            ready.put(result)

    async def _draft(self, item: WorkItem, records: Records | None, circumstances: Circumstances) -> Draft | Deferral:
        ref = item.event.subject
        record = None if records is None else records.get(ref)
        if isinstance(record, CrmFailure) and not record.transient:
            draft = Draft(item, self._clock.now(), Knowledge(self._plan.wanted))
            draft.skip_reason = "record_not_found" if record.reason == "not_found" else f"record_{record.reason}"
            return draft
        unread = records is None or isinstance(record, CrmFailure)
        if unread and not self._says_who(item):
            return self._defer(item)
        source = ref.system if isinstance(record, CrmRecord) else item.event.source
        standings = await self._standings.current()
        return await enrich_event(
            item,
            self._known(item, records or {}),
            self._plan,
            self._buyer,
            self._clock,
            known_from=source,
            standings=standings,
            orders=self._orders(standings),
            circumstances=circumstances,
        )

    def _says_who(self, item: WorkItem) -> bool:
        """Say whether the event itself names its subject, so that it can be worked on without its record."""
        said = item.event.attributes
        return bool(said.get("email") or (self._plan.rules.needs == "domain" and said.get("domain")))

    def _orders(self, standings: Mapping[str, ProviderStanding]) -> Orders:
        """Return the order of lookups, worked out once for all events that see the same standings."""
        if self._ordered_for is not standings:
            self._ordered_for, self._order = standings, orders_now(self._plan, standings)
        return self._order

    def _defer(self, item: WorkItem) -> Deferral:
        """Put off what can't be looked at: its CRM is down and the event itself does not say whom it is about."""
        seconds = backoff_seconds(
            item.deferrals, first=_FIRST_DEFERRAL_SECONDS, longest=_LONGEST_DEFERRAL_SECONDS, jitter=self._rng.random()
        )
        return Deferral(item, "crm_down", self._clock.now() + timedelta(seconds=seconds))

    async def _store(self, lease: Lease, done: Sequence[Draft | Deferral], report: BatchReport) -> None:
        drafts = [item for item in done if isinstance(item, Draft)]
        deferrals = [item for item in done if isinstance(item, Deferral)]
        now = self._clock.now()
        enrichments = conclude(drafts, self._plan, self._mapper, self._validate, now)
        await self._work.conclude(lease, enrichments, deferrals, now)
        report.deferred += len(deferrals)
        for draft, enrichment in zip(drafts, enrichments, strict=True):
            report.outcomes[str(enrichment.outcome)] += 1
            if enrichment.reason:
                report.reasons[enrichment.reason] += 1
            report.cost_micros += enrichment.cost_micros
            report.fields_bought += len(draft.bought)
            report.values_rejected += len(enrichment.rejected)
            received = draft.item.event.received_at
            report.wait_ms.append((draft.started_at - received).total_seconds() * 1_000)
            report.work_ms.append((now - draft.started_at).total_seconds() * 1_000)
