"""Ports in memory: a ledger that keeps its rules, lookups and CRMs that follow a script, a work store that takes notes.

For engine tests only. The stores' own tests use real databases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from support.clock import ManualClock

from enrichment_dagster.domain.eligibility import Standing
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.fields import FIELDS, FieldValue
from enrichment_dagster.domain.keys import domain_subject, email_subject
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.domain.routing import RoutingDecision
from enrichment_dagster.errors import LeaseLost, ProviderError
from enrichment_dagster.ports import (
    Answer,
    AttemptKey,
    AttemptRequest,
    Awaited,
    Cached,
    CachePolicy,
    Charge,
    CrmFailure,
    CrmRecord,
    Deferral,
    DeliveryRetry,
    Enrichment,
    InFlight,
    Lease,
    Opened,
    OutboxEntry,
    Pending,
    ProviderStanding,
    Query,
    RawValue,
    Recollection,
    RecordUpdate,
    Refused,
    RoutingConclusion,
    Search,
    Settlement,
    WritePlan,
    WriteRecord,
)

Step = Answer | Pending | Exception | Callable[[Query], Answer]


def hit(**values: Any) -> Answer:
    return Answer(tuple(RawValue(name, value) for name, value in values.items()), "req-1")


MISS = Answer(request_id="req-0", http_status=404)
DOWN = ProviderError("server_error", transient=True, http_status=503)
NO_ANSWER = ProviderError("timeout", transient=True)
REFUSED = ProviderError("unauthorized", transient=False, http_status=401)


@dataclass
class ScriptedLookup:
    """Answers with its steps in turn, the last one again and again; each call takes ``seconds``."""

    name: str = "apollo.person"
    gives: frozenset[str] = frozenset({"title", "company_name", "employees"})
    steps: Sequence[Step] = (MISS,)
    price_micros: int = 20_000
    charge: Charge = Charge.ON_HIT
    timeout_seconds: float = 5.0
    clock: ManualClock | None = None
    seconds: float = 0.0
    by_domain: bool = False
    max_units: int = 1
    bulk_size: int = 1
    calls_back: bool = False
    slow: bool = False
    cache: CachePolicy | None = None
    calls: list[Query] = field(default_factory=list)
    bulk_calls: list[int] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    callback_urls: list[str] = field(default_factory=list)

    @property
    def provider(self) -> str:
        return self.name.partition(".")[0]

    @property
    def purpose(self) -> str:
        return self.name.partition(".")[2]

    def subject(self, query: Query) -> str | None:
        if self.by_domain:
            return domain_subject(query.domain) if query.domain else None
        return email_subject(query.email) if query.email else None

    async def fetch_many(self, queries: Sequence[Query], timeout_seconds: float) -> list[Answer | ProviderError]:
        self.bulk_calls.append(len(queries))
        results: list[Answer | ProviderError] = []
        for query in queries:
            try:
                answer = await self.fetch(query, timeout_seconds)
                assert isinstance(answer, Answer)
                results.append(answer)
            except ProviderError as error:
                results.append(error)
        return results

    async def poll(self, request_id: str, query: Query, timeout_seconds: float) -> Answer | Pending:
        return await self.fetch(query, timeout_seconds)

    def read_callback(self, body: Any) -> Answer | Pending:
        return hit(**body)

    async def fetch(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Answer | Pending:
        self.callback_urls.append(callback_url)
        step = self.steps[min(len(self.calls), len(self.steps) - 1)]
        self.calls.append(query)
        self.timeouts.append(timeout_seconds)
        await asyncio.sleep(0)
        if self.clock and self.seconds:
            await self.clock.sleep(min(self.seconds, timeout_seconds))
            if self.seconds > timeout_seconds:
                raise NO_ANSWER
        if isinstance(step, Exception):
            raise step
        return step(query) if callable(step) else step


@dataclass
class MemoryLedger:
    """``AttemptLedger`` with the rules of the real one: cache until its end, one attempt in flight for a key."""

    clock: ManualClock
    cache: dict[AttemptKey, tuple[Cached, datetime]] = field(default_factory=dict)
    in_flight: dict[AttemptKey, tuple[str, datetime]] = field(default_factory=dict)
    opened: list[tuple[AttemptKey, str, int]] = field(default_factory=list)
    settled: list[Settlement] = field(default_factory=list)
    requests: list[AttemptRequest] = field(default_factory=list)
    refusals: dict[str, Refused] = field(default_factory=dict)  # by provider
    awaited: dict[AttemptKey, str] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)  # providers
    send_at: datetime | None = None

    async def begin(self, request: AttemptRequest) -> Opened | Cached | InFlight | Awaited | Refused:
        await asyncio.sleep(0)
        key, now = request.key, self.clock.now()
        self.requests.append(request)
        if key in self.cache and self.cache[key][1] > now:
            return self.cache[key][0]
        if key.provider in self.refusals:
            return self.refusals[key.provider]
        if key in self.awaited:
            return Awaited(self.awaited[key])
        if key in self.in_flight and self.in_flight[key][1] >= now:
            return InFlight(self.in_flight[key][1])
        attempt_id = f"attempt-{len(self.opened) + 1}"
        self.in_flight[key] = (attempt_id, now + timedelta(seconds=request.lease_seconds))
        self.opened.append((key, request.event_id, request.reserve_micros))
        stale = self.cache[key][0] if key in self.cache else None
        return Opened(attempt_id, self.send_at, "token-1" if request.calls_back else "", stale)

    async def is_stopped(self, provider: str) -> bool:
        return provider in self.stopped

    async def settle(self, settlement: Settlement) -> None:
        await asyncio.sleep(0)
        self.settled.append(settlement)
        now = self.clock.now()
        if self.in_flight.get(settlement.key, ("",))[0] == settlement.attempt_id:
            del self.in_flight[settlement.key]
        if settlement.outcome == "pending":
            self.awaited[settlement.key] = settlement.attempt_id
        if settlement.answer is not None:
            policy = settlement.cache
            seconds = policy.hit_seconds if settlement.answer.is_hit else policy.miss_seconds
            self.cache[settlement.key] = (Cached(settlement.answer, now), now + timedelta(seconds=seconds))


@dataclass
class FixedStandings:
    """``Standings`` that a test sets."""

    found: dict[str, ProviderStanding] = field(default_factory=dict)

    async def current(self) -> Mapping[str, ProviderStanding]:
        return self.found


@dataclass
class ScriptedCrm:
    """Records in memory. ``down`` is raised by reads and writes, ``failures`` stand for single records."""

    system: str = "hubspot"
    records: dict[RecordRef, dict[str, Any]] = field(default_factory=dict)
    failures: dict[RecordRef, CrmFailure] = field(default_factory=dict)
    write_failures: dict[RecordRef, CrmFailure] = field(default_factory=dict)
    refused_properties: set[str] = field(default_factory=set)  # one is named at a time, as Salesforce does
    down: Exception | None = None
    down_for_writes: Exception | None = None
    hangs_in_writes: bool = False
    down_for_searches: Exception | None = None
    clock: ManualClock | None = None
    read_seconds: float = 0.0
    reads: list[tuple[list[RecordRef], list[str]]] = field(default_factory=list)
    written: list[RecordUpdate] = field(default_factory=list)
    searches: list[tuple[Search, list[str]]] = field(default_factory=list)

    async def read(
        self, refs: Sequence[RecordRef], properties: Sequence[str]
    ) -> Mapping[RecordRef, CrmRecord | CrmFailure]:
        self.reads.append((list(refs), list(properties)))
        await asyncio.sleep(0)
        if self.clock and self.read_seconds:
            await self.clock.sleep(self.read_seconds)
        if self.down:
            raise self.down
        missing = CrmFailure("not_found", transient=False)
        return {
            ref: self.failures.get(ref) or (CrmRecord(ref, dict(self.records[ref])) if ref in self.records else missing)
            for ref in refs
        }

    async def find(
        self, search: Search, values: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, Sequence[CrmRecord]]:
        self.searches.append((search, list(values)))
        await asyncio.sleep(0)
        if self.down or self.down_for_searches:
            raise self.down or self.down_for_searches
        of_kind = {ref: held for ref, held in self.records.items() if ref.object_type == search.object_type}
        found = {
            value: [CrmRecord(r, dict(h)) for r, h in of_kind.items() if value in (h.get(n) for n in search.properties)]
            for value in values
        }
        return {value: records for value, records in found.items() if records}

    async def write(self, updates: Sequence[RecordUpdate]) -> Mapping[RecordRef, CrmFailure | None]:
        await asyncio.sleep(60 if self.hangs_in_writes else 0)
        if self.down_for_writes:
            raise self.down_for_writes
        results = {update.ref: self.write_failures.get(update.ref) or self._refusal(update) for update in updates}
        for update in updates:
            if results[update.ref] is None:
                self.written.append(update)
                self.records.setdefault(update.ref, {}).update(update.properties)
        return results

    def _refusal(self, update: RecordUpdate) -> CrmFailure | None:
        named = sorted(self.refused_properties & update.properties.keys())[:1]
        return CrmFailure("validation", False, f"TOO_LONG {named[0]}", frozenset(named)) if named else None


@dataclass
class PlainMapper:
    """Our names with a ``p_`` before them; written without the product's mapper.

    Records of people and deals hold their company's id in ``link``, if companies are among the ``kinds``.
    """

    kinds: tuple[tuple[str, str], ...] = (("hubspot", "contact"),)
    poison: RecordRef | None = None

    def knows(self, ref: RecordRef) -> bool:
        return (ref.system, ref.object_type) in self.kinds

    def link(self, ref: RecordRef) -> str | None:
        return "link" if (ref.system, "company") in self.kinds and ref.object_type != "company" else None

    def company(self, ref: RecordRef, company_id: Any) -> RecordRef | None:
        found = RecordRef(ref.system, "company", str(company_id or ""))
        return found if company_id and self.knows(found) else None

    def searches(self, system: str, subject: RecordRef) -> Sequence[Search]:
        kind, name = ("company", "company_domain") if subject.system == "account" else ("contact", subject.object_type)
        return [Search(kind, subject.object_type, (f"p_{name}",))] if (system, kind) in self.kinds else []

    def properties(self, ref: RecordRef) -> Sequence[str]:
        return [f"p_{name}" for name in ("email", "title", "company_name", "company_domain", "employees")]

    def known(self, ref: RecordRef, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name.removeprefix("p_"): value for name, value in properties.items() if value and name[:2] == "p_"}

    def blank(self, ref: RecordRef, properties: Mapping[str, Any]) -> frozenset[str]:
        return frozenset(FIELDS) - set(self.known(ref, properties))

    def standing(self, ref: RecordRef, properties: Mapping[str, Any]) -> Standing:
        return Standing(str(properties.get("status") or ""), bool(properties.get("opted_out")))

    def fill(self, ref: RecordRef, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {f"p_{name}": value for name, value in values.items()}

    def status(self, ref: RecordRef, outcome: Outcome, missing: Sequence[str], at: datetime) -> Mapping[str, Any]:
        if ref.object_type == "deal":
            return {}
        return {"status": str(outcome), "missing": ",".join(missing)}

    def routing(self, ref: RecordRef, decision: RoutingDecision) -> Mapping[str, Any]:
        return {"segment": decision.segment, "route": decision.route}

    def plan_write(self, ref: RecordRef, current: Mapping[str, Any], entry: OutboxEntry) -> WritePlan:
        if ref == self.poison:
            raise ValueError("can't be compared")
        fill = {
            name: value
            for name, value in entry.fill.items()
            if not current.get(name) or (name in entry.replace and current[name] == entry.replace[name])
        }
        assign = {name: value for name, value in entry.assign.items() if current.get(name) != value}
        kept = {
            name: "equal" if current.get(name) == value else "filled"
            for name, value in {**entry.fill, **entry.assign}.items()
            if name not in fill and name not in assign
        }
        return WritePlan({**fill, **assign}, kept)


@dataclass
class Remembering:
    """``Memory`` that a test sets; notes what it was asked."""

    suppressed: set[str] = field(default_factory=set)
    wrong: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    values: dict[str, tuple[FieldValue, ...]] = field(default_factory=dict)
    asked: list[tuple[set[str], datetime | None]] = field(default_factory=list)

    async def recall(self, keys: Collection[str], fresh_since: datetime | None) -> Recollection:
        self.asked.append((set(keys), fresh_since))
        fresh = {
            key: tuple(value for value in values if fresh_since and value.fetched_at >= fresh_since)
            for key, values in self.values.items()
            if key in keys
        }
        wrong = {key: pairs for key, pairs in self.wrong.items() if key in keys}
        return Recollection(frozenset(self.suppressed.intersection(keys)), wrong, fresh)


@dataclass
class NotingWorkStore:
    """``WorkStore`` in memory: notes what is stored, in order; hands out its outbox once."""

    clock: ManualClock
    lease_lost_after: int | None = None  # conclusions that still succeed
    renewals_left: int | None = None
    conclusions: list[tuple[list[Enrichment], list[Deferral]]] = field(default_factory=list)
    renewed: int = 0
    outbox: list[OutboxEntry] = field(default_factory=list)
    done: list[WriteRecord] = field(default_factory=list)
    retries: list[DeliveryRetry] = field(default_factory=list)
    fail_recording: Exception | None = None

    async def renew(self, lease: Lease) -> Lease:
        self.renewed += 1
        if self.renewals_left is not None and self.renewed > self.renewals_left:
            raise LeaseLost(lease.batch_id)
        return replace(lease, until=self.clock.now() + timedelta(seconds=30))

    async def conclude(
        self, lease: Lease, enrichments: Sequence[Enrichment], deferrals: Sequence[Deferral], finished_at: datetime
    ) -> None:
        await asyncio.sleep(0)
        if self.lease_lost_after is not None and len(self.conclusions) >= self.lease_lost_after:
            raise LeaseLost(lease.batch_id)
        self.conclusions.append((list(enrichments), list(deferrals)))

    async def claim_deliveries(
        self, owner: str, *, work_ids: Sequence[str] | None, limit: int, lease_seconds: float
    ) -> list[OutboxEntry]:
        settled = {item.entry.outbox_id for item in (*self.done, *self.retries)}
        lines: dict[RecordRef, OutboxEntry] = {}
        for entry in self.outbox:
            if entry.outbox_id not in {item.entry.outbox_id for item in self.done}:
                lines.setdefault(entry.ref, entry)
        return [
            entry
            for entry in lines.values()
            if entry.outbox_id not in settled and (work_ids is None or entry.work_id in work_ids)
        ][:limit]

    async def record_deliveries(
        self, owner: str, done: Sequence[WriteRecord], retries: Sequence[DeliveryRetry]
    ) -> None:
        if self.fail_recording:
            raise self.fail_recording
        self.done += done
        self.retries += retries

    @property
    def enrichments(self) -> list[Enrichment]:
        return [item for enrichments, _ in self.conclusions for item in enrichments]

    @property
    def deferrals(self) -> list[Deferral]:
        return [item for _, deferrals in self.conclusions for item in deferrals]


@dataclass
class NotingRoutingStore:
    """``RoutingStore`` in memory: notes what is stored; what is owed goes to the outbox of a work store."""

    work: NotingWorkStore
    conclusions: list[RoutingConclusion] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    failure: Exception | None = None

    async def conclude(self, conclusions: Sequence[RoutingConclusion], finished_at: datetime) -> None:
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        self.batches.append(len(conclusions))
        self.conclusions += conclusions
        self.work.outbox += [entry for item in conclusions for entry in item.enrichment.owed]

    async def release(self, event_ids: Sequence[str], at: datetime) -> None:
        if self.failure:
            raise self.failure
        self.released += event_ids


@dataclass
class FixedOwnWrites:
    """``OwnWrites`` that knows the events which a test names."""

    found: set[str] = field(default_factory=set)

    async def caused(self, events: Sequence[Event]) -> frozenset[str]:
        return frozenset(self.found.intersection(event.event_id for event in events))
