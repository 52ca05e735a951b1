"""What the operational store knows of one event, as values. Holds values of people: for operators only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from enrichment_dagster.domain.event import RecordRef


@dataclass(frozen=True, slots=True)
class Received:
    """The event as it came in."""

    event_id: str
    event_type: str
    source: str
    lane: str
    subject_system: str
    subject_type: str
    subject_id: str
    sender_event_id: str
    occurred_at: datetime
    received_at: datetime
    attributes: Mapping[str, Any]

    @property
    def record(self) -> RecordRef:
        """Return the record that it concerns."""
        return RecordRef(self.subject_system, self.subject_type, self.subject_id)


@dataclass(frozen=True, slots=True)
class Work:
    """The event's work, or a follow-up of it."""

    work_id: str
    kind: str
    state: str
    due_at: datetime
    batch_id: str | None
    run_id: str
    tries: int
    crashes: int
    started_at: datetime | None
    finished_at: datetime | None
    delivered_at: datetime | None
    outcome: str | None
    reason: str
    missing: Mapping[str, str]
    cost_micros: int
    scope: Mapping[str, Any]  # of a follow-up that is limited to some lookups
    steps: Sequence[Mapping[str, Any]]  # ``ports.Step`` by field names; empty where an older release did the work
    routing: Mapping[str, Any] | None  # segment, score, route and reasons of work of the kind "routing"
    caused_by: str  # the event whose write to the record led to this one


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that holds or held the event."""

    batch_id: str
    state: str
    attempt: int
    size: int
    starts: int
    created_at: datetime
    emitted_at: datetime


@dataclass(frozen=True, slots=True)
class Call:
    """One paid call."""

    attempt_id: str
    event_id: str
    provider: str
    purpose: str
    subject_key: str
    state: str
    reason: str
    http_status: int | None
    request_id: str
    cost_micros: int
    latency_ms: int | None
    sent_at: datetime
    settled_at: datetime | None
    role: str
    units: int


@dataclass(frozen=True, slots=True)
class LateAnswer:
    """An answer that a provider gives later, and that this event waits for or waited for."""

    attempt_id: str
    lookup: str
    request_id: str
    state: str
    created_at: datetime
    next_poll_at: datetime | None
    polls: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StoredValue:
    """One value of the field ledger."""

    work_id: str
    subject_key: str
    field: str
    value: Any
    provider: str
    confidence: float
    fetched_at: datetime
    expires_at: datetime | None
    cost_micros: int
    request_id: str
    precedence: int
    chosen: bool  # False: an alternative
    stale: bool


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A value that a provider sent and that was not stored as data."""

    work_id: str
    field: str
    raw: str
    provider: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Wrong:
    """A value that the event proved wrong, under one of the keys that its subject is known by."""

    subject: str
    field: str
    value: str
    reason: str
    noted_at: datetime


@dataclass(frozen=True, slots=True)
class Owed:
    """An effect that was promised to a CRM record; it stays after it was delivered."""

    outbox_id: str
    work_id: str
    system: str
    object_type: str
    record_id: str
    fill: Mapping[str, Any]
    assign: Mapping[str, Any]
    employer: Mapping[str, str] | None  # the company that the record is to be associated with
    state: str
    tries: int
    last_reason: str
    next_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """What a delivery did to a CRM record."""

    outbox_id: str
    work_id: str
    system: str
    object_type: str
    record_id: str
    status: str
    written: Mapping[str, Any]
    kept: Mapping[str, str]
    reason: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that was given up."""

    work_id: str
    component: str
    reason: str
    detail: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Story:
    """One event with all that happened. ``work`` is empty as long as the event is only in the journal."""

    received: Received
    skip_reason: str
    work: Sequence[Work] = ()
    batches: Sequence[Batch] = ()
    calls: Sequence[Call] = ()
    payers: Sequence[Call] = ()  # calls of other events whose answers this one used
    late_answers: Sequence[LateAnswer] = ()
    values: Sequence[StoredValue] = ()
    quarantined: Sequence[Quarantined] = ()
    wrong: Sequence[Wrong] = ()
    owed: Sequence[Owed] = ()
    written: Sequence[Written] = ()
    dead_letters: Sequence[DeadLetter] = ()


@dataclass(frozen=True, slots=True)
class Mention:
    """An event in a list. Without a state it is only in the journal so far."""

    event_id: str
    event_type: str
    received_at: datetime
    state: str
    outcome: str | None
    reason: str
