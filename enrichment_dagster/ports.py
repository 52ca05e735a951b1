"""What the engine needs of the world: providers, CRMs and stores, as protocols.

Adapters implement these; nothing here does I/O. Costs are millionths of a US dollar (``_micros``), times are UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, Protocol

from enrichment_dagster.domain.dispatch import BatchState, Claim, DueGroup
from enrichment_dagster.domain.edges import Edge
from enrichment_dagster.domain.eligibility import Standing
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.fields import FieldValue, RejectedValue, Value
from enrichment_dagster.domain.outcome import MissingReason, Outcome
from enrichment_dagster.domain.quota import Quota
from enrichment_dagster.domain.routing import RoutingDecision
from enrichment_dagster.errors import ProviderError

# --- Providers ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Query:
    """What is known of a person and their company when a provider is asked."""

    email: str | None = None  # normalised
    domain: str | None = None  # registrable domain of the company
    company_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    known: Mapping[str, Value] = field(default_factory=dict, hash=False)  # all valid values so far, by field
    # Vendors' own ids from earlier answers, e.g. "apollo.organization".
    ids: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class RawValue:
    """One value as a provider sent it, not yet normalised."""

    field: str
    value: Any
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer in our field names. No values: the provider knows nothing, which is not a failure."""

    values: tuple[RawValue, ...] = ()
    request_id: str = ""
    http_status: int = 200
    units: int = 1  # how many times the price a charged answer costs
    ids: Mapping[str, str] = field(default_factory=dict, hash=False)  # the vendor's own ids, for its other lookups
    quota: Quota | None = None

    @property
    def is_hit(self) -> bool:
        """Say whether anything was found."""
        return bool(self.values)


@dataclass(frozen=True, slots=True)
class Pending:
    """The provider works on it and answers later: by a call to our callback URL, or when it is polled."""

    request_id: str = ""
    poll_after_seconds: float | None = None  # None: it can't be polled
    http_status: int = 202
    quota: Quota | None = None


class Charge(StrEnum):
    """When a provider takes money."""

    ON_CALL = "on_call"
    ON_HIT = "on_hit"


class Lookup(Protocol):
    """One operation of one provider: what the waterfall asks in order, e.g. ``apollo.person``."""

    @property
    def name(self) -> str:
        """Return the name that plans use, ``<provider>.<purpose>``."""
        ...

    @property
    def provider(self) -> str:
        """Return the provider's name, the one that provenance shows."""
        ...

    @property
    def purpose(self) -> str:
        """Return what is asked: "person", "company", "combined", "verification"."""
        ...

    @property
    def gives(self) -> frozenset[str]:
        """Return the catalogue fields that an answer may fill."""
        ...

    @property
    def price_micros(self) -> int:
        """Return the price of one unit of a charged call."""
        ...

    @property
    def max_units(self) -> int:
        """Return how many units one call may cost at the most: this is reserved before it is sent."""
        ...

    @property
    def charge(self) -> Charge:
        """Return when the price is due."""
        ...

    @property
    def timeout_seconds(self) -> float:
        """Return the longest that one call may take."""
        ...

    @property
    def cache(self) -> CachePolicy | None:
        """Return how long answers are remembered, or None for the general policy."""
        ...

    @property
    def bulk_size(self) -> int:
        """Return how many queries one call of ``fetch_many`` may hold; 1 = there is no bulk call."""
        ...

    @property
    def calls_back(self) -> bool:
        """Say whether the provider answers by calling a URL that each request names."""
        ...

    @property
    def slow(self) -> bool:
        """Say whether the lookup never belongs into the routing lane."""
        ...

    def subject(self, query: Query) -> str | None:
        """Return the subject key that the answer belongs to, or None if the query lacks what this lookup needs."""
        ...

    async def fetch(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Answer | Pending:
        """Make one call, without retries. ``callback_url`` is given to a lookup that ``calls_back``.

        Raises:
            ProviderError: the provider did not answer as documented; says whether it is transient.
        """
        ...

    async def fetch_many(self, queries: Sequence[Query], timeout_seconds: float) -> Sequence[Answer | ProviderError]:
        """Ask for up to ``bulk_size`` subjects in one call; returns one result for each query, in their order.

        Raises:
            ProviderError: the whole call failed.
        """
        ...

    async def poll(self, request_id: str, query: Query, timeout_seconds: float) -> Answer | Pending:
        """Ask for the result of a call that is pending. Costs nothing.

        Raises:
            ProviderError: as ``fetch``; a terminal one ends the waiting.
        """
        ...

    def read_callback(self, body: Any) -> Answer | Pending:
        """Read what the provider sent to the callback URL.

        Raises:
            ProviderError: the body is not of the documented shape.
        """
        ...


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long answers are remembered, in seconds; 0 = not at all."""

    hit_seconds: float
    miss_seconds: float
    error_seconds: float = 0.0  # how long a failure keeps others from asking again
    stale_seconds: float = 0.0  # for how long after its end an answer serves when a refresh fails


# --- CRM ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CrmRecord:
    """A record as the CRM has it now. ``properties`` are the CRM's own names; absent and None mean empty."""

    ref: RecordRef
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordUpdate:
    """The properties to write to one record, exactly these."""

    ref: RecordRef
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CrmFailure:
    """Why one record of a batch could not be read or written."""

    reason: str  # "not_found", "validation", "locked", ...
    transient: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """Which records are looked for: those of a kind that hold a value in any of these properties."""

    object_type: str
    by: Literal["email", "phone", "domain"]  # what the values are: addresses, E.164 numbers, registrable domains
    properties: tuple[str, ...]


class Crm(Protocol):
    """A CRM that is read and written in batches of any size; the adapter cuts them to the vendor's limits."""

    @property
    def system(self) -> str:
        """Return the CRM's name as records carry it: "hubspot", "salesforce"."""
        ...

    async def read(
        self, refs: Sequence[RecordRef], properties: Sequence[str]
    ) -> Mapping[RecordRef, CrmRecord | CrmFailure]:
        """Return every asked record, or why it can't be read.

        Raises:
            CrmError: the CRM as a whole did not answer (down, throttled, unauthorized).
        """
        ...

    async def find(
        self, search: Search, values: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, Sequence[CrmRecord]]:
        """Return the records that hold each value, the last changed first; a value that nobody holds is absent.

        Raises:
            CrmError: the CRM as a whole did not answer.
        """
        ...

    async def write(self, updates: Sequence[RecordUpdate]) -> Mapping[RecordRef, CrmFailure | None]:
        """Write every update; None means written.

        Raises:
            CrmError: the CRM as a whole did not answer; any of the updates may have been written.
        """
        ...


@dataclass(frozen=True, slots=True)
class WritePlan:
    """What of an outbox entry is to be written to a record as it is now."""

    to_write: Mapping[str, Any]
    kept: Mapping[str, str]  # property -> why ours is not written ("filled", "equal")


class RecordMapper(Protocol):
    """Between our fields and a CRM's properties, by the configuration."""

    def knows(self, ref: RecordRef) -> bool:
        """Say whether records of this kind are configured."""
        ...

    def properties(self, ref: RecordRef) -> Sequence[str]:
        """Return the properties to read of such a record."""
        ...

    def link(self, ref: RecordRef) -> str | None:
        """Return the property that holds the id of the record's company; None for records without one.

        It is read and written like any other. In an outbox entry it may hold a company's subject, ``domain:acme.com``:
        the delivery finds that company's record.
        """
        ...

    def company(self, ref: RecordRef, company_id: Any) -> RecordRef | None:
        """Return the record of the company that ``company_id`` names in the same CRM; None where it is of no use."""
        ...

    def searches(self, system: str, subject: RecordRef) -> Sequence[Search]:
        """Return how the records of a ``person`` or ``account`` subject are looked for in a CRM, the best way first."""
        ...

    def known(self, ref: RecordRef, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the record's filled fields under our names, as the CRM stores them."""
        ...

    def blank(self, ref: RecordRef, properties: Mapping[str, Any]) -> frozenset[str]:
        """Return the fields that such a record has a place for, and this one nothing in it."""
        ...

    def standing(self, ref: RecordRef, properties: Mapping[str, Any]) -> Standing:
        """Return what the record says of itself beside its fields."""
        ...

    def fill(self, ref: RecordRef, values: Mapping[str, Value]) -> Mapping[str, Any]:
        """Return the properties that hold these values."""
        ...

    def status(self, ref: RecordRef, outcome: Outcome, missing: Sequence[str], at: datetime) -> Mapping[str, Any]:
        """Return the properties that say how the enrichment went."""
        ...

    def routing(self, ref: RecordRef, decision: RoutingDecision) -> Mapping[str, Any]:
        """Return the properties that say where the lead goes."""
        ...

    def plan_write(self, ref: RecordRef, current: Mapping[str, Any], entry: OutboxEntry) -> WritePlan:
        """Compare what is owed with the record: equal values are not written, filled properties are left alone.

        But for a value that ``entry.replace`` names: that one, and no other, is replaced.
        """
        ...


# --- Paid calls --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AttemptKey:
    """What makes a paid call unique while it is in flight."""

    provider: str
    purpose: str
    subject_key: str


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """Everything that decides whether a call may be sent."""

    key: AttemptKey
    event_id: str
    work_id: str = ""  # woken when the answer comes later
    reserve_micros: int = 0  # the most that the call may cost
    event_budget_micros: int | None = None  # what the event may cost in all
    lease_seconds: float = 30.0  # from the moment of sending
    send_before: datetime | None = None  # a later call would be of no use
    role: str = ""  # "hedge": sent because the call before it was slow
    calls_back: bool = False  # the answer comes to a callback URL
    lookup: str = ""  # this and the query are kept while the answer to a call that calls back is pending
    query: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0  # its share of a call: less than one where several queries go in one


@dataclass(frozen=True, slots=True)
class Cached:
    """An answer is there already; nothing is sent. ``answer`` without values is a remembered miss."""

    answer: Answer
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """The attempt row is durable, the money reserved: the call may be sent at ``send_at``."""

    attempt_id: str
    send_at: datetime | None = None  # later than now where the rate limit spaces the calls
    callback_token: str = ""  # unguessable and good for one answer
    stale: Cached | None = None  # an expired answer, to be served if the call fails


@dataclass(frozen=True, slots=True)
class InFlight:
    """Another worker is asking the same thing right now."""

    until: datetime  # after this moment that worker is taken for dead


@dataclass(frozen=True, slots=True)
class Awaited:
    """The provider was asked before and answers later; this work is woken then as well."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The call may not be sent. ``reason``: see ``REFUSALS``; ``retry_at`` is None where waiting is no use."""

    reason: str
    retry_at: datetime | None = None
    stale: Cached | None = None


REFUSALS: Mapping[str, MissingReason] = MappingProxyType(
    {
        "budget_event": MissingReason.BUDGET,
        "budget_provider": MissingReason.BUDGET,
        "budget_day": MissingReason.BUDGET,
        "lifetime_cap": MissingReason.BUDGET,
        "spending_stopped": MissingReason.POLICY,
        "breaker_open": MissingReason.PROVIDER_DOWN,
        "recent_error": MissingReason.PROVIDER_DOWN,
        "rate_limited": MissingReason.TIMEOUT,
        "concurrency": MissingReason.TIMEOUT,
    }
)
"""Why a call may not be sent, and what that makes of the fields that it could have filled."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one attempt ended."""

    attempt_id: str
    key: AttemptKey
    outcome: str  # "hit", "miss", "error", "pending", or "unknown" when nobody can say whether the call was served
    reason: str = ""  # the error's reason code
    answer: Answer | None = None
    pending: Pending | None = None
    http_status: int | None = None
    latency_ms: int = 0
    cost_micros: int = 0
    retry_after_seconds: float | None = None
    cache: CachePolicy = CachePolicy(0.0, 0.0)
    speaks: bool = True  # of several attempts that one call served, the one that stands for it in the provider's health
    lookup: str = ""  # this and the query are kept while an answer is pending
    query: Mapping[str, Any] = field(default_factory=dict)


class AttemptLedger(Protocol):
    """The durable record of paid calls: cache, singleflight between processes, protection and bill in one."""

    async def begin(self, request: AttemptRequest) -> Opened | Cached | InFlight | Awaited | Refused:
        """Return a fresh cached answer, or make the attempt row durable, or say why nothing may be sent."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Store how the attempt ended and remember its answer."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderStanding:
    """How a provider does at present, as all processes have seen it."""

    open: bool = False  # its breaker is open: nothing is sent
    demoted: bool = False  # its success fell too low: others are asked first
    p50_ms: Mapping[str, float] = field(default_factory=dict)  # by purpose; absent where too few calls were seen
    p95_ms: Mapping[str, float] = field(default_factory=dict)


class Standings(Protocol):
    """How the providers do; what is shown may be a second old."""

    async def current(self) -> Mapping[str, ProviderStanding]:
        """Return the standing of each provider that was ever called."""
        ...


# --- Work --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recollection:
    """What is stored of some subjects beside their records, by the keys that it is stored under."""

    suppressed: frozenset[str] = frozenset()  # must be left alone
    wrong: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)  # fields and values proven wrong
    values: Mapping[str, tuple[FieldValue, ...]] = field(default_factory=dict)  # what was bought since the asked moment


class Memory(Protocol):
    """What is stored of subjects beside their records."""

    async def recall(self, keys: Collection[str], fresh_since: datetime | None) -> Recollection:
        """Return what is stored under these keys: of records, people and companies.

        Values are returned only where ``fresh_since`` says since when they count.
        """
        ...


class WorkKind(StrEnum):
    """Why a piece of work exists."""

    EVENT = "event"  # an event was received
    GAP_FILL = "gap_fill"  # a follow-up for fields that a transient failure left empty
    REFRESH = "refresh"  # an operator replays the event
    ANSWER = "answer"  # a provider's late answer came for the event
    ROUTING = "routing"  # what the gateway found within the deadline


ROUTING_SUFFIX = "/routing"
"""Follows the event id in the id of its routing's work."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a piece of work is limited to. Empty: all that the plan wants."""

    lookups: tuple[str, ...] = ()  # only these are asked
    reasons: Mapping[str, str] = field(default_factory=dict)  # why the other fields were missing when it was made


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one lookup of a plan for one event: asked or not, and why."""

    lookup: str
    result: str  # "hit", "miss", "error", "pending", "refused", "not_needed", "not_ready", "not_reached"
    reason: str = ""  # the error or refusal
    cached: bool = False
    stale: bool = False
    hedge: bool = False
    cost_micros: int = 0
    latency_ms: int = 0
    fields: tuple[str, ...] = ()  # wanted fields that hold its value in the end
    fetched_at: datetime | None = None  # of the answer, which may be older than the event


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One event to enrich, as a batch holds it."""

    work_id: str  # the event id, or the event id with a suffix for follow-ups
    kind: WorkKind
    event: Event
    tries: int = 0  # follow-ups made so far
    deferrals: int = 0  # times that it was put off because its CRM was down
    scope: Scope = Scope()
    earlier: tuple[FieldValue, ...] = ()  # what earlier work of the same event found: bought already


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a batch. Every terminal write proves it with the token."""

    batch_id: str
    owner: str  # run id
    token: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Employer:
    """A person works for another company than their record says: what its association is to become."""

    domain: str
    name: str = ""
    former_domain: str = ""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One effect owed to a CRM record: values for empty properties, and values that are always set."""

    outbox_id: str  # idempotency key
    work_id: str
    event_id: str
    ref: RecordRef
    fill: Mapping[str, Any] = field(default_factory=dict)
    assign: Mapping[str, Any] = field(default_factory=dict)
    tries: int = 0
    replace: Mapping[str, Any] = field(default_factory=dict)  # property: the one value that ``fill`` may replace
    employer: Employer | None = None  # the company that the record is to be associated with


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A later try for what a transient failure left empty."""

    due_at: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class Enrichment:
    """The result of enriching one piece of work: everything that its terminal transaction stores."""

    item: WorkItem
    outcome: Outcome
    reason: str  # why it was skipped or failed, or why no record is told of it; empty otherwise
    started_at: datetime
    values: tuple[FieldValue, ...] = ()  # the chosen one of each field: new, or what the CRM had
    alternatives: tuple[FieldValue, ...] = ()  # what others said of the same fields
    steps: tuple[Step, ...] = ()  # what became of each lookup of the plan
    awaits: tuple[str, ...] = ()  # attempts whose answers come later: this work is woken then
    rejected: tuple[RejectedValue, ...] = ()
    wrong: tuple[tuple[str, str], ...] = ()  # fields and values that the event proves wrong
    missing: Mapping[str, MissingReason] = field(default_factory=dict)
    subject_keys: tuple[str, ...] = ()
    cost_micros: int = 0
    follow_up: FollowUp | None = None
    outbox: OutboxEntry | None = None
    routing: RoutingDecision | None = None
    more_outbox: tuple[OutboxEntry, ...] = ()  # what other records are told, such as the company's
    edges: tuple[Edge, ...] = ()

    @property
    def owed(self) -> tuple[OutboxEntry, ...]:
        """Return everything that records are told."""
        return self.more_outbox if self.outbox is None else (self.outbox, *self.more_outbox)


@dataclass(frozen=True, slots=True)
class Deferral:
    """A piece of work that could not even be looked at (its CRM is down): it becomes due again later."""

    item: WorkItem
    reason: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """What a delivery did to one CRM record, for the ledger and the warehouse."""

    entry: OutboxEntry
    status: str  # "written", "already_there", "rejected"
    at: datetime
    written: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)  # property -> why ours was not written
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryRetry:
    """A delivery that failed for now."""

    entry: OutboxEntry
    reason: str
    next_at: datetime


class WorkStore(Protocol):
    """The batch's side of the operational store: lease, terminal transaction, outbox."""

    async def renew(self, lease: Lease) -> Lease:
        """Extend the lease.

        Raises:
            LeaseLost: another run owns the batch.
        """
        ...

    async def conclude(
        self, lease: Lease, enrichments: Sequence[Enrichment], deferrals: Sequence[Deferral], finished_at: datetime
    ) -> None:
        """Store results, quarantine, outbox, follow-ups and final states in ONE transaction.

        Raises:
            LeaseLost: another run owns the batch; nothing was stored.
        """
        ...

    async def claim_deliveries(
        self, owner: str, *, work_ids: Sequence[str] | None, limit: int, lease_seconds: float
    ) -> list[OutboxEntry]:
        """Lease outbox entries that are due, at most one per record; ``work_ids`` narrows to a batch's own.

        What they may write is noted as ours in the same transaction: the CRM may report it before it is recorded.
        """
        ...

    async def record_deliveries(
        self, owner: str, done: Sequence[WriteRecord], retries: Sequence[DeliveryRetry]
    ) -> None:
        """Store how deliveries ended, in one transaction."""
        ...


@dataclass(frozen=True, slots=True)
class BatchHandOver:
    """A batch that was just made or is handed over again: what its run request says."""

    batch_id: str
    event_type: str
    day: str
    attempt: int
    size: int
    oldest_at: datetime
    event_id: str  # of its only event; empty when it has several

    @property
    def run_key(self) -> str:
        """Return what Dagster recognises a repeated request by."""
        return f"{self.batch_id}:{self.attempt}"


TICK = "tick:"
"""Begins the name of the sign of life that each tick gives; its event type follows."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What a tick that waits looks at: is there anything to do?"""

    backlog: int  # received events that are not work yet
    due: Mapping[str, datetime]  # since when the oldest due event of each lane is due; lanes without one are absent


class DispatchPort(Protocol):
    """What a tick needs of the operational store."""

    def glance(self, event_types: Sequence[str]) -> Glance:
        """Say whether there is anything to do in any of these lanes; costs next to nothing."""
        ...

    def claims(self, patience: Mapping[str, timedelta]) -> Sequence[Claim]:
        """Return what these lanes wait for; ``patience`` says, by event type, for how long a tick may fail to come."""
        ...

    def unstarted_batches(self, event_types: Sequence[str], since: datetime) -> Sequence[BatchState]:
        """Return the batches that were handed to Dagster since then and whose runs have not started."""
        ...

    def pump(self) -> int:
        """Turn received events into work; returns how many."""
        ...

    def due_groups(self, event_type: str, max_batch: int) -> Sequence[DueGroup]:
        """Return a lane's due events by day and batch size limit."""
        ...

    def open_batches(self, event_type: str) -> Sequence[BatchState]:
        """Return a lane's open batches, their runs not looked up."""
        ...

    def oldest_due_age(self, event_type: str) -> timedelta:
        """Return how long the oldest due event has waited; zero for none."""
        ...

    def assign(self, event_type: str, group: DueGroup, max_batch: int) -> BatchHandOver | None:
        """Make a batch of a group's oldest events; None when another tick was quicker."""
        ...

    def finish(self, batch_ids: Sequence[str]) -> None:
        """Close batches whose events are all done."""
        ...

    def release(self, batch_ids: Sequence[str]) -> None:
        """Free batches whose worker died."""
        ...

    def hand_over(self, batch_ids: Sequence[str], *, next_attempt: Sequence[str] = ()) -> list[BatchHandOver]:
        """Mark batches as handed to Dagster now."""
        ...

    def beat(self, name: str, **detail: Any) -> None:
        """Note that something is alive."""
        ...

    def last_beat(self, name: str) -> datetime | None:
        """Return when something was last alive."""
        ...


# --- Routing -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoutingConclusion:
    """What the gateway found for one event. ``goes_on``: the standard lane continues; else this was all."""

    enrichment: Enrichment
    goes_on: bool
    cached: bool = False  # every answer came from the cache


class RoutingStore(Protocol):
    """The gateway's side of the operational store."""

    async def conclude(self, conclusions: Sequence[RoutingConclusion], finished_at: datetime) -> None:
        """Store results and outbox, and hand the events on or end them, in ONE transaction.

        An event whose reservation has run out meanwhile is left to the standard lane; the results are kept for it.
        """
        ...

    async def release(self, event_ids: Sequence[str], at: datetime) -> None:
        """Give up the reservations of events that were not routed: the standard lane may take them at once."""
        ...


class OwnWrites(Protocol):
    """What we wrote to CRM records, so that the CRM's reports of it start nothing."""

    async def caused(self, events: Sequence[Event]) -> frozenset[str]:
        """Return the ids of those events that our own writes caused: nothing may be bought for them."""
        ...


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request with an idempotency key, as it was made first. ``answer`` is None while it is being worked on."""

    event_id: str
    body_hash: str
    answer: Mapping[str, Any] | None
    begun_at: datetime


class ApiRequests(Protocol):
    """Requests by their idempotency keys: the same key gets the same answer."""

    async def begin(self, caller: str, key: str, body_hash: str, event_id: str) -> ApiRequest | None:
        """Note a request; returns the earlier one of the same key, or None: this one is to be worked on.

        None for a new key, and for one whose worker has not answered for so long that it is taken for dead.
        """
        ...

    async def finish(self, caller: str, key: str, answer: Mapping[str, Any]) -> None:
        """Keep the answer; durable when this returns."""
        ...

    async def release(self, caller: str, key: str) -> None:
        """Forget a request that came to nothing, so that it may be made again at once."""
        ...


@dataclass(frozen=True, slots=True)
class OwedAnswer:
    """An answer that a caller wants to have posted to a URL once the event has ended."""

    event_id: str
    caller: str
    url: str
    tries: int  # made so far


class OwedAnswers(Protocol):
    """Answers owed to callers that asked asynchronously."""

    async def note(self, event_id: str, caller: str, url: str) -> None:
        """Note that an answer will be owed; durable when this returns. The first note of an event counts."""
        ...

    async def claim(self, limit: int, lease_seconds: float) -> list[OwedAnswer]:
        """Lease answers of events that have ended and that are due, the longest due first."""
        ...

    async def close(self, event_id: str, state: str, reason: str = "") -> None:
        """Note the end: "done" or "given_up"."""
        ...

    async def put_off(self, event_id: str, reason: str, delay_seconds: float) -> None:
        """Count a try that failed, and say when the next one is due."""
        ...


# --- Intake ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeptBody:
    """A body from an authenticated sender that can't be read: kept with the reason, to be replayed."""

    source: str
    reason: str
    detail: str
    body: bytes
    received_at: datetime


class Journal(Protocol):
    """The append-only record of received events. When a call returns, its rows are durable."""

    async def append(self, events: Sequence[Event]) -> list[bool]:
        """Store the events in one commit; False marks one whose dedup key was there already."""
        ...

    async def keep(self, body: KeptBody) -> None:
        """Store a body that can't be read."""
        ...


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody on a website, under an id of a sender's, and the address that this sender once named with it."""

    source: str
    visitor: str
    email: str


class VisitorStore(Protocol):
    """Who visitors are."""

    async def remember(self, visitors: Sequence[Visitor]) -> None:
        """Store addresses; the last one of a visitor counts."""
        ...

    async def emails(self, source: str, visitors: Sequence[str]) -> Mapping[str, str]:
        """Return the addresses of those of a source's visitors who are known."""
        ...


# --- Answers that come later -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WaitingAnswer:
    """A call that the provider answers later, as it is stored. ``state``: see the table ``pending_answers``."""

    attempt_id: str
    key: AttemptKey
    lookup: str
    query: Mapping[str, Any]  # as ``AttemptRequest.query``
    request_id: str
    state: str
    event_id: str
    reserved_micros: int
    expires_at: datetime
    polls: int = 0  # polls so far that brought nothing


class PendingStore(Protocol):
    """The calls that wait for their answers, and the work that waits with them."""

    async def find(self, token: str) -> WaitingAnswer | None:
        """Return the call that a callback URL's token was made for, whatever its state."""
        ...

    async def complete(self, waiting: WaitingAnswer, settlement: Settlement) -> bool:
        """Settle the call and make the work that takes its answer up, in ONE transaction.

        False: it was answered before, or too much time has passed; nothing was stored.
        """
        ...

    async def due_polls(self, limit: int) -> list[WaitingAnswer]:
        """Return calls whose answer is to be asked for now, the longest due first."""
        ...

    async def put_off(self, attempt_id: str, next_poll_at: datetime) -> None:
        """Count a poll that brought nothing, and say when the next one is due."""
        ...

    async def expire(self) -> int:
        """Give up the calls that nobody answered in time, and wake who waited for them; returns how many."""
        ...
