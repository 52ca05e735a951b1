"""Salesforce Flow HTTP callouts: one JSON object per record, guarded by a shared secret in a header.

Source: Salesforce help, "HTTP Callout in Flow Builder". Flow signs nothing: an External Credential adds the header.
Blank Flow variables arrive as empty texts and mean that the value is absent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.keys import dedup_key, event_id
from enrichment_dagster.domain.triggers import Triggers
from enrichment_dagster.errors import PayloadError, SignatureError
from enrichment_dagster.intake.elements import Element, iso_moment, read_elements, text, to_milliseconds
from enrichment_dagster.intake.json_body import parse_json
from enrichment_dagster.intake.salesforce_id import long_id
from enrichment_dagster.intake.sender import Parsed, RawRequest, any_equal


@dataclass(frozen=True, slots=True)
class SalesforceFlow:
    """The sender "salesforce_flow"."""

    secrets: tuple[bytes, ...] = field(repr=False)
    header: str
    org: str  # names the org in dedup keys
    triggers: Triggers

    name: ClassVar[str] = "salesforce_flow"
    path: ClassVar[str] = "/webhooks/salesforce/flow"
    unreadable_status: ClassVar[int] = 400

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Compare the shared secret; Flow sends nothing that time could be checked with."""
        given = request.headers.get(self.header.lower())
        if not given:
            raise SignatureError("missing_secret", f"the header {self.header} is missing")
        if not any_equal(self.secrets, given.encode("utf-8", "replace")):
            raise SignatureError("bad_secret", f"the secret in {self.header} is not the configured one")

    def parse(self, body: bytes, now: datetime) -> Parsed:
        """Read one object, or an array of them."""
        value = parse_json(body)
        if isinstance(value, list):
            return read_elements(self.name, value, now, self._event)
        if not isinstance(value, dict):
            raise PayloadError("not_an_object", "a JSON object is needed")
        return Parsed([self._event(value, now)])

    def _event(self, element: Element, now: datetime) -> Event:
        lead_id = long_id(text(element, "lead_id"))
        if lead_id is None:
            raise PayloadError("bad_lead_id", "lead_id is not a Salesforce id of 15 or 18 characters")
        sent_type = text(element, "event_type", 60)
        if not sent_type:
            raise PayloadError("missing_type", "event_type is missing")
        occurred_at = iso_moment(element, "timestamp")
        key = dedup_key(self.name, self.org, lead_id, sent_type, to_milliseconds(occurred_at))
        known = {"email": text(element, "email", 320), "company": text(element, "company")}
        given = {name: value for name, value in known.items() if value}
        event_type, skip_reason = self.triggers.judge(sent_type, given)
        extra = {"event_type": sent_type} if skip_reason else {}
        return Event(
            event_id=event_id(key),
            dedup_key=key,
            event_type=event_type,
            source=self.name,
            subject=RecordRef("salesforce", "lead", lead_id),
            occurred_at=occurred_at,
            received_at=now,
            skip_reason=skip_reason,
            attributes={**given, **extra},
        )
