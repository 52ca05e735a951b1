"""HubSpot custom code actions: the code posts the event that HubSpot calls it with, and passes our answer on.

Source: developers.hubspot.com, "Custom code actions". The code must end within 20 s and is run again only when it fails
with 429 or 5xx. Its outputs, by which the workflow branches, are those of the answer: ``should_enrich``, ``reason``,
``enrichment_triggered`` and ``error``. It signs nothing: a secret of the action stands in a header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Self

from enrichment_dagster.domain.config import SharedSecretConfig
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.triggers import LEAD_CREATED
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.decision import Decision
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, child, exact_id, text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.proof.shared_secret import SharedSecret
from enrichment_dagster.intake.record_fact import happened, said, sent_type


@dataclass(frozen=True, slots=True)
class HubSpotCustomCode(Decision, JsonSender):
    """The sender "hubspot_custom_code"."""

    skips_personal: frozenset[str] = field(default_factory=frozenset)
    skips_domains: Mapping[str, Sequence[str]] = field(default_factory=dict)

    name: ClassVar[str] = "hubspot_custom_code"
    path: ClassVar[str] = "/webhooks/hubspot/custom-code"

    @classmethod
    def build(cls, config: SharedSecretConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        return cls(SharedSecret(door.secrets, config.header), door.triggers, door.skips_personal, door.skips_domains)

    def _fact(self, element: Element, now: datetime) -> Fact:
        record, inputs = child(element, "object"), child(element, "inputFields")
        record_id, object_type = exact_id(record, "objectId"), text(record, "objectType", 40).lower()
        if record_id is None or not object_type:
            raise PayloadError("bad_object_id", "object.objectType and object.objectId are needed")
        kind = sent_type(inputs, default=LEAD_CREATED if object_type == "contact" else "")
        portal, execution = exact_id(child(element, "origin"), "portalId") or "", text(element, "callbackId")
        occurred_at, moment = happened(inputs, "timestamp", kind, now)
        identity = (portal, object_type, record_id, kind, execution or moment)
        subject = RecordRef("hubspot", object_type, record_id)
        return Fact(kind, subject, occurred_at, identity, {**said(inputs), "portalId": portal}, execution)
