"""What a run works on, what it finds, what it owes to CRMs; and what is remembered of subjects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from enrichment_dagster.domain.edges import Edge
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.fields import FieldValue, RejectedValue
from enrichment_dagster.domain.outcome import MissingReason, Outcome
from enrichment_dagster.domain.routing import RoutingDecision


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


REFUSED_PROPERTY = "refused: "
"""Begins what ``WriteRecord.kept`` says of a property that the CRM did not take; its words follow."""


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
