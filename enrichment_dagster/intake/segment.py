"""Segment, destination Webhooks (Actions): what visitors do on a website; one event, or a batch.

Source: segment.com/docs, "Spec" and "Webhooks (Actions) Destination". ``messageId`` tells a repeat; ``timestamp`` is
the one to use. Segment waits 5 s and repeats for four hours. A page view and a track call are visits; ``identify``
tells who a user is: it is recorded, and later visits of that user are known by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from enrichment_dagster.domain.config import SegmentConfig
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.triggers import WEBSITE_VISIT
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.crm_record import crm_record
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.moments import iso_moment
from enrichment_dagster.intake.proof.segment import segment_signature
from enrichment_dagster.intake.segment_call import read_email, read_page
from enrichment_dagster.intake.sender import Manners
from enrichment_dagster.intake.subjects import person_by_email

_VISITS = frozenset({"page", "track"})
_IDS = ("type", "messageId", "userId", "anonymousId")
_MOMENTS = ("timestamp", "originalTimestamp", "receivedAt")


@dataclass(frozen=True, slots=True)
class Segment(JsonSender):
    """The sender "segment"."""

    user_ids: str = ""  # "hubspot.contact": user ids are those of such records

    name: ClassVar[str] = "segment"
    path: ClassVar[str] = "/webhooks/segment"
    manners: ClassVar[Manners] = Manners(unreadable=200)

    @classmethod
    def build(cls, config: SegmentConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        return cls(segment_signature(door.secrets), door.triggers, config.user_ids or "")

    def _fact(self, element: Element, now: datetime) -> Fact:
        kind, message, user, anonymous = (text(element, name) for name in _IDS)
        visitor = user or anonymous
        if not kind or not message or not visitor:
            raise PayloadError("incomplete_event", "type, messageId, and userId or anonymousId are needed")
        moment = next((name for name in _MOMENTS if text(element, name)), _MOMENTS[0])
        occurred_at, email, record = iso_moment(element, moment), read_email(element, user), self._record(user)
        said = {
            "type": kind,
            "event": text(element, "event"),
            "visitor": visitor,
            "anonymous": "" if visitor == anonymous else anonymous,
            "email": email,
            "known_record": True if record else None,
        }
        subject = record or person_by_email(email) or RecordRef(self.name, "visitor", visitor)
        event_type = WEBSITE_VISIT if kind in _VISITS else None
        return Fact(event_type, subject, occurred_at, (message,), {**said, **read_page(element)}, message)

    def _record(self, user: str) -> RecordRef | None:
        system, _, kind = self.user_ids.partition(".")
        try:
            return crm_record({"system": system, "object_type": kind, "record_id": user}) if system else None
        except PayloadError:
            return None  # somebody without a record: known by e-mail, or not at all
