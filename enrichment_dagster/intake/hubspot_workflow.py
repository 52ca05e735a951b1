"""HubSpot workflows, action "Send a webhook": one object per record, signed (version 3, else 2).

Source: knowledge.hubspot.com, "Trigger webhooks in workflows". The default body is the whole contact in the older
profile form; a customised one is what the user maps, here our own words. HubSpot waits 30 s and repeats for three days,
but not after a 4xx, except 429, whose Retry-After it reads in MILLISECONDS: so that is what makes it come again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Self

from enrichment_dagster.domain.config import HubSpotWorkflowConfig
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.triggers import LEAD_CREATED
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.decision import Decision
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, child, exact_id
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.hubspot import signature_v3
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.proof.hubspot import WorkflowSignature
from enrichment_dagster.intake.record_fact import happened, said, sent_type
from enrichment_dagster.intake.sender import Manners

_PROFILE = {
    "email": "email",
    "company": "company",
    "first_name": "firstname",
    "last_name": "lastname",
    "phone": "phone",
}
_IDS = {"contact_id": "contact", "deal_id": "deal", "company_id": "company", "vid": "contact"}


@dataclass(frozen=True, slots=True)
class HubSpotWorkflow(Decision, JsonSender):
    """The sender "hubspot_workflow"."""

    skips_personal: frozenset[str] = field(default_factory=frozenset)
    skips_domains: Mapping[str, Sequence[str]] = field(default_factory=dict)

    name: ClassVar[str] = "hubspot_workflow"
    path: ClassVar[str] = "/webhooks/hubspot/workflow"
    manners: ClassVar[Manners] = Manners(again=429, retry_after="5000", final_4xx=True)

    @classmethod
    def build(cls, config: HubSpotWorkflowConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        proof = WorkflowSignature(signature_v3(config, door))
        return cls(proof, door.triggers, door.skips_personal, door.skips_domains)

    def _fact(self, element: Element, now: datetime) -> Fact:
        body = {**_profile(element), **element}
        kind = sent_type(body, default=LEAD_CREATED if "properties" in element else "")
        subject = _subject(body)
        occurred_at, moment = happened(body, "timestamp", kind, now)
        portal, attributes = exact_id(element, "portal-id") or "", said(body)
        stage = attributes.get("stage", "")
        return Fact(kind, subject, occurred_at, (portal, subject.key, kind, stage, moment), attributes)


def _profile(element: Element) -> Mapping[str, Any]:
    """Return the values of the default body, in which each property is an object."""
    properties = child(element, "properties")
    return {ours: child(properties, theirs).get("value") for ours, theirs in _PROFILE.items() if theirs in properties}


def _subject(body: Mapping[str, Any]) -> RecordRef:
    name = next((name for name in _IDS if body.get(name) not in (None, "")), "contact_id")
    record_id = exact_id(body, name)
    if record_id is None:
        raise PayloadError("bad_object_id", f"{name} is not a record id")
    return RecordRef("hubspot", _IDS[name], record_id)
