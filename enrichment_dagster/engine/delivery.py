"""Delivering what is owed to CRM records: claim, read, compare, write, record - safe to repeat at any point.

A crash between the write and its record finds the values already there the next time, and records that.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.engine.employers import with_companies
from enrichment_dagster.engine.retry import backoff_seconds
from enrichment_dagster.errors import CrmError
from enrichment_dagster.ports import (
    REFUSED_PROPERTY,
    Crm,
    CrmFailure,
    CrmRecord,
    DeliveryRetry,
    OutboxEntry,
    RecordMapper,
    RecordUpdate,
    WorkStore,
    WritePlan,
    WriteRecord,
)

_CLAIM = 500
_TOGETHER = 200  # read and written before the next ones are read: what a person types in between is not seen
_SMALLEST_CLAIM = 20  # of a CRM that is too slow for more
_LEASE_SECONDS = 60.0
_PATIENCE_SECONDS = 40.0  # for all calls of a claim: nothing of it may be on its way when others can claim it
_FIRST_RETRY_SECONDS = 5.0
_LONGEST_RETRY_SECONDS = 900.0

_TOLD_CHARACTERS = 200  # as long as the store takes

Plans = Mapping[RecordRef, tuple[OutboxEntry, WritePlan]]

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class DeliveryReport:
    """What became of the deliveries: counts by status, properties written, and those put off with their reasons."""

    statuses: Counter[str] = field(default_factory=Counter)
    properties_written: int = 0
    put_off: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Step:
    """The results of one claim."""

    done: list[WriteRecord] = field(default_factory=list)
    retries: list[DeliveryRetry] = field(default_factory=list)
    out_of_time: bool = False


class Deliverer:
    """The one delivery engine; the gateway and the runs both host it."""

    def __init__(
        self, *, work: WorkStore, crms: Mapping[str, Crm], mapper: RecordMapper, clock: Clock, rng: random.Random
    ) -> None:
        self._work = work
        self._crms = crms
        self._mapper = mapper
        self._clock = clock
        self._rng = rng
        self._most = _CLAIM

    async def deliver(self, owner: str, work_ids: Sequence[str] | None = None) -> DeliveryReport:
        """Deliver what is due, all of it or that of some work only, until nothing more can be claimed."""
        report = DeliveryReport()
        while entries := await self._work.claim_deliveries(
            owner, work_ids=work_ids, limit=self._most, lease_seconds=_LEASE_SECONDS
        ):
            step = _Step()
            async with asyncio.TaskGroup() as group:
                for kind, same in _by_kind(entries).items():
                    group.create_task(self._deliver_to(kind[0], same, step))
            self._most = max(self._most // 4, _SMALLEST_CLAIM) if step.out_of_time else min(self._most * 2, _CLAIM)
            await self._work.record_deliveries(owner, step.done, step.retries)
            _count(report, step)
        return report

    async def _deliver_to(self, system: str, entries: Sequence[OutboxEntry], step: _Step) -> None:
        crm = self._crms.get(system)
        if crm is None:
            step.done.extend(self._rejected(entry, "crm_not_configured") for entry in entries)
            return
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                for first in range(0, len(entries), _TOGETHER):
                    plans = await self._plan(crm, entries[first : first + _TOGETHER], step)
                    await self._write(crm, plans, step)
        except TimeoutError:  # what was written by then is found in place the next time
            step.out_of_time = True
            self._put_off(entries, step, "timeout", None)
        except CrmError as error:
            reason = error.reason if error.transient else _told(error)  # only the latter needs somebody's hand
            self._put_off(entries, step, reason, error.retry_after_seconds)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not keep other CRMs' deliveries from their record
            _log.exception("a delivery failed", system=system)
            self._put_off(entries, step, f"internal_error:{type(error).__name__}", None)

    def _put_off(
        self, entries: Sequence[OutboxEntry], step: _Step, reason: str, retry_after_seconds: float | None
    ) -> None:
        settled = {item.entry.outbox_id for item in step.done} | {item.entry.outbox_id for item in step.retries}
        step.retries.extend(
            self._retry(entry, reason, retry_after_seconds) for entry in entries if entry.outbox_id not in settled
        )

    async def _plan(self, crm: Crm, entries: Sequence[OutboxEntry], step: _Step) -> Plans:
        """Compare what is owed with the records as they are now."""
        linked = await with_companies(crm, entries, self._mapper)
        entries = linked.entries
        properties = dict.fromkeys(name for entry in entries for name in (*entry.fill, *entry.assign))
        records = await crm.read([entry.ref for entry in entries], list(properties))
        plans: dict[RecordRef, tuple[OutboxEntry, WritePlan]] = {}
        for entry in entries:
            record = records[entry.ref]
            if not isinstance(record, CrmRecord):
                self._failed(entry, record, step)
                continue
            try:
                plan = self._mapper.plan_write(entry.ref, record.properties, entry)
                plan = WritePlan(plan.to_write, {**plan.kept, **linked.kept.get(entry.outbox_id, {})})
            except Exception as error:  # noqa: BLE001 - an entry that can't be compared must not hold up the others
                _log.exception("a delivery can't be planned", outbox_id=entry.outbox_id)
                self._put_off([entry], step, f"internal_error:{type(error).__name__}", None)
                continue
            if plan.to_write:
                plans[entry.ref] = (entry, plan)
            else:
                step.done.append(WriteRecord(entry, "already_there", self._clock.now(), kept=plan.kept))
        return plans

    async def _write(self, crm: Crm, plans: Plans, step: _Step) -> None:
        """Write what is planned; what a CRM does not take of a record is left out, and the rest written."""
        while plans:
            plans = await self._write_once(crm, plans, step)

    async def _write_once(self, crm: Crm, plans: Plans, step: _Step) -> Plans:
        """Write, and return smaller plans for the records that were refused for some of their properties."""
        results = await crm.write([RecordUpdate(ref, plan.to_write) for ref, (_, plan) in plans.items()])
        now = self._clock.now()
        smaller: dict[RecordRef, tuple[OutboxEntry, WritePlan]] = {}
        for ref, (entry, plan) in plans.items():
            failure = results[ref]
            if failure is None:
                step.done.append(WriteRecord(entry, "written", now, written=plan.to_write, kept=plan.kept))
            elif (rest := _without_refused(plan, failure)) is not None:
                smaller[ref] = (entry, rest)
            else:
                self._failed(entry, failure, step)
        return smaller

    def _failed(self, entry: OutboxEntry, failure: CrmFailure, step: _Step) -> None:
        if failure.transient:
            step.retries.append(self._retry(entry, failure.reason, None))
        else:
            step.done.append(self._rejected(entry, _told(failure)))

    def _rejected(self, entry: OutboxEntry, reason: str) -> WriteRecord:
        return WriteRecord(entry, "rejected", self._clock.now(), reason=reason)

    def _retry(self, entry: OutboxEntry, reason: str, retry_after_seconds: float | None) -> DeliveryRetry:
        seconds = backoff_seconds(
            entry.tries, first=_FIRST_RETRY_SECONDS, longest=_LONGEST_RETRY_SECONDS, jitter=self._rng.random()
        )
        asked = min(retry_after_seconds or 0.0, _LONGEST_RETRY_SECONDS)
        return DeliveryRetry(entry, reason, self._clock.now() + timedelta(seconds=max(seconds, asked)))


def _without_refused(plan: WritePlan, failure: CrmFailure) -> WritePlan | None:
    """Return the plan without what the CRM does not take; None where it names nothing, or nothing would be left."""
    refused = failure.properties & plan.to_write.keys()
    if failure.transient or not refused or len(refused) == len(plan.to_write):
        return None
    rest = {name: value for name, value in plan.to_write.items() if name not in refused}
    return WritePlan(rest, {**plan.kept, **dict.fromkeys(refused, f"{REFUSED_PROPERTY}{_told(failure)}")})


def _told(failure: CrmFailure | CrmError) -> str:
    """Return the reason, and what the CRM says of it where the reason alone helps nobody."""
    says_more = failure.detail and failure.reason != "not_found"
    return f"{failure.reason}: {failure.detail}"[:_TOLD_CHARACTERS] if says_more else failure.reason


def _by_kind(entries: Sequence[OutboxEntry]) -> dict[tuple[str, str], list[OutboxEntry]]:
    """Group by kind of record: each has properties of its own."""
    kinds: dict[tuple[str, str], list[OutboxEntry]] = {}
    for entry in entries:
        kinds.setdefault((entry.ref.system, entry.ref.object_type), []).append(entry)
    return kinds


def _count(report: DeliveryReport, step: _Step) -> None:
    for item in step.done:
        report.statuses[item.status] += 1
        report.properties_written += len(item.written)
    for retry in step.retries:
        report.put_off[retry.reason] += 1
