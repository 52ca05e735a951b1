"""The event: one fact received from a sender, and the record it concerns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Lane(StrEnum):
    """How an event travels."""

    ROUTING = "routing"  # answered by the gateway inside the deadline
    STANDARD = "standard"  # enriched by Dagster runs


@dataclass(frozen=True, slots=True)
class RecordRef:
    """One record of one CRM: what is read before and written after an enrichment."""

    system: str  # "hubspot", "salesforce"
    object_type: str  # "contact", "lead"
    record_id: str

    @property
    def key(self) -> str:
        """Return the record's unique text form, e.g. ``hubspot:contact:1246978``."""
        return f"{self.system}:{self.object_type}:{self.record_id}"


@dataclass(frozen=True, slots=True)
class Event:
    """One received event, normalised. Two deliveries of the same fact have the same ``dedup_key`` and ``event_id``."""

    event_id: str  # ours, derived from the dedup key
    dedup_key: str
    event_type: str
    source: str  # the sender's channel: "hubspot", "salesforce_flow"
    subject: RecordRef
    occurred_at: datetime
    received_at: datetime
    sender_event_id: str = ""
    lane: Lane = Lane.STANDARD
    skip_reason: str = ""  # set at the door when the event is recorded but will not be enriched
    attributes: Mapping[str, Any] = field(default_factory=dict)  # what the sender said of the subject
    reserved_until: datetime | None = None
