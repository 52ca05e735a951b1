"""Enriching a batch: read its records by the hundred, work their events at once, store what is ready together."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.eligibility import Standing
from enrichment_dagster.domain.waterfall import Knowledge
from enrichment_dagster.engine.circumstances import (
    NO_CIRCUMSTANCES,
    Circumstances,
    Identity,
    circumstances_of,
    identify,
)
from enrichment_dagster.engine.conclude import Validator, conclude
from enrichment_dagster.engine.draft import Draft
from enrichment_dagster.engine.owed import Promised
from enrichment_dagster.engine.plan import Plan
from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.retry import backoff_seconds
from enrichment_dagster.engine.subjects import (
    NOBODY,
    Subject,
    Subjects,
    known_company,
    known_person,
)
from enrichment_dagster.engine.tray import Tray
from enrichment_dagster.engine.waterfall import Orders, enrich_event, orders_now
from enrichment_dagster.errors import LeaseLost
from enrichment_dagster.ports import (
    Crm,
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

_MOST_IN_A_COMMIT = 20
"""Two hundred results take a tenth of a second to be stored, in which the routing lane could not send a call."""

_READ_TOGETHER = 200
"""Records that are read before work on them begins: one or two calls at what CRMs take in one."""

_log = structlog.get_logger(__name__)


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
        self._promised: Promised = {}
        self._ordered_for: Mapping[str, ProviderStanding] = {}
        self._order = orders_now(plan, self._ordered_for)

    async def run(self, lease: Lease, items: Sequence[WorkItem]) -> BatchReport:
        """Bring every item of a leased batch to a final state, or defer it.

        Raises:
            LeaseLost: another run took the batch over; what was stored before stands.
        """
        report = BatchReport()
        self._promised.clear()
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
        subjects = Subjects(self._crms, self._mapper)
        kinds: dict[tuple[str, str], list[WorkItem]] = {}  # a kind of record has properties of its own
        for item in items:
            ref = item.event.subject
            kinds.setdefault((ref.system, ref.object_type), []).append(item)
        async with asyncio.TaskGroup() as group:
            for same_kind in kinds.values():
                group.create_task(self._begin(same_kind, subjects, ready, group))
            while ready.left:
                await self._store(lease, await ready.take(), report)

    async def _begin(
        self, items: Sequence[WorkItem], subjects: Subjects, ready: Tray[Draft | Deferral], group: asyncio.TaskGroup
    ) -> None:
        """Read records of one kind, some at a time, and begin with their events as soon as they are there."""
        for first in range(0, len(items), _READ_TOGETHER):
            part = items[first : first + _READ_TOGETHER]
            await subjects.read([item.event for item in part])
            circumstances = await self._circumstances(part, subjects)
            for item in part:
                about = circumstances.get(item.work_id, NO_CIRCUMSTANCES)
                group.create_task(self._work_on(item, subjects, about, ready))

    async def _circumstances(self, items: Sequence[WorkItem], subjects: Subjects) -> dict[str, Circumstances]:
        """Return what is stored of the items' subjects, asked for together, by work id."""
        found = {item.work_id: known for item in items if (known := self._identify(item, subjects)) is not None}
        keys = {key for identity, _ in found.values() for key in identity.keys}
        fresh = self._plan.rules.fresh
        recalled = await self._memory.recall(keys, None if fresh is None else self._clock.now() - fresh)
        return {
            item.work_id: circumstances_of(item, found[item.work_id][0], recalled, found[item.work_id][1])
            for item in items
            if item.work_id in found
        }

    def _identify(self, item: WorkItem, subjects: Subjects) -> tuple[Identity, Standing | None] | None:
        try:
            subject = subjects.of(item.event)
            person = known_person(subject, item.event, self._mapper)
            company = known_company(subject, item.event, self._mapper)
            records = [record.ref.key for record in subject.own]
            return identify(item, person.fields, company.fields, records), self._standing(subject)
        except Exception:  # noqa: BLE001 - the item's own work comes to the same error, and fails alone
            return None

    def _standing(self, subject: Subject) -> Standing | None:
        """Return what the records say of themselves: of several, the first one's status; any of them may refuse."""
        found = [self._mapper.standing(record.ref, record.properties) for record in subject.own]
        return replace(found[0], refuses=any(one.refuses for one in found)) if found else None

    async def _work_on(
        self, item: WorkItem, subjects: Subjects, circumstances: Circumstances, ready: Tray[Draft | Deferral]
    ) -> None:
        async with self._slots:
            subject = NOBODY
            try:
                subject = subjects.of(item.event)
                result = await self._draft(item, subject, circumstances)
            except Exception as error:  # noqa: BLE001 - one event's fault must not cost the batch
                _log.exception("an event's enrichment failed", event_id=item.event.event_id)
                result = Draft(item, self._clock.now(), Knowledge(self._plan.wanted), subject=subject)
                result.fault = f"internal_error:{type(error).__name__}"
            ready.put(result)

    async def _draft(self, item: WorkItem, subject: Subject, circumstances: Circumstances) -> Draft | Deferral:
        if subject.failure is not None:
            draft = Draft(item, self._clock.now(), Knowledge(self._plan.wanted), subject=subject)
            reason = subject.failure.reason
            draft.skip_reason = "record_not_found" if reason == "not_found" else f"record_{reason}"
            return draft
        if self._has_to_wait(item, subject):
            return self._defer(item)
        person = known_person(subject, item.event, self._mapper)
        company = known_company(subject, item.event, self._mapper)
        standings = await self._standings.current()
        return await enrich_event(
            item,
            person.fields,
            self._plan,
            self._buyer,
            self._clock,
            known_from=person.source or item.event.source,
            company=company,
            subject=subject,
            standings=standings,
            orders=self._orders(standings),
            circumstances=circumstances,
        )

    def _has_to_wait(self, item: WorkItem, subject: Subject) -> bool:
        """Say whether a CRM that did not answer keeps the event from its sense.

        What the event itself names can be enriched without its record, which is written later. A record that has to be
        looked for first could not be written, and a plan for companies needs the company.
        """
        if subject.company_unread and not self._plan.about_people:
            return True
        return subject.unread and (subject.sought or not self._says_who(item))

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
        enrichments = conclude(drafts, self._plan, self._mapper, self._validate, now, self._promised)
        for first in range(0, len(enrichments), _MOST_IN_A_COMMIT):
            await self._work.conclude(lease, enrichments[first : first + _MOST_IN_A_COMMIT], [], now)
        if deferrals:
            await self._work.conclude(lease, [], deferrals, now)
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
