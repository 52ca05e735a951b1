"""Salesforce Flow HTTP callouts and Apex: one JSON object per record, guarded by a shared secret in a header.

Source: Salesforce help, "HTTP Callout in Flow Builder". Flow signs nothing: an External Credential adds the header.
Blank Flow variables arrive as empty texts and mean that the value is absent. Salesforce does not repeat a callout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from enrichment_dagster.domain.config import FlowIntakeConfig
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.crm_record import salesforce_record
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.moments import iso_moment, to_milliseconds
from enrichment_dagster.intake.proof.shared_secret import SharedSecret
from enrichment_dagster.intake.record_fact import said, sent_type
from enrichment_dagster.intake.salesforce_id import long_id

_IDS: Mapping[str, str] = {"lead_id": "lead", "opportunity_id": "opportunity", "contact_id": "contact", "record_id": ""}


@dataclass(frozen=True, slots=True)
class SalesforceFlow(JsonSender):
    """The sender "salesforce_flow"."""

    org: str = "default"  # names the org in dedup keys

    name: ClassVar[str] = "salesforce_flow"
    path: ClassVar[str] = "/webhooks/salesforce/flow"

    @classmethod
    def build(cls, config: FlowIntakeConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        return cls(SharedSecret(door.secrets, config.header), door.triggers, config.org)

    def _fact(self, element: Element, now: datetime) -> Fact:
        subject = _subject(element)
        kind = sent_type(element)
        occurred_at = iso_moment(element, "timestamp")
        account = long_id(text(element, "account_id") or text(element, "company_id")) or ""
        attributes = {**said(element), "company_id": account}
        identity = (self.org, subject.record_id, kind, to_milliseconds(occurred_at))
        return Fact(kind, subject, occurred_at, identity, attributes)


def _subject(element: Element) -> RecordRef:
    """Return the record; of the ids that are there the most specific: an opportunity's flow may name its contact."""
    name = next((name for name in _IDS if element.get(name) not in (None, "")), "lead_id")
    kind, value = _IDS[name], text(element, name)
    if not kind:
        found = salesforce_record(value, text(element, "object_type").lower())
    else:
        record_id = long_id(value)
        found = None if record_id is None else RecordRef("salesforce", kind, record_id)
    if found is None:
        raise PayloadError(f"bad_{name}", f"{name} is not a Salesforce id of 15 or 18 characters")
    return found
