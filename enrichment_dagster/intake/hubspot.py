"""HubSpot app webhooks: a JSON array of events, signed (version 3).

Source: developers.hubspot.com, "Webhooks API". HubSpot repeats a delivery for 24 hours after any 4xx or 5xx, so
whatever it has signed is answered 200.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from enrichment_dagster.domain.event import Event
from enrichment_dagster.domain.triggers import Triggers
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.elements import Element, read_elements
from enrichment_dagster.intake.hubspot_event import SOURCE, read_event
from enrichment_dagster.intake.hubspot_signature import SignatureV3
from enrichment_dagster.intake.json_body import parse_json
from enrichment_dagster.intake.sender import Parsed, RawRequest


@dataclass(frozen=True, slots=True)
class HubSpot:
    """The sender "hubspot"."""

    signature: SignatureV3
    triggers: Triggers

    name: ClassVar[str] = SOURCE
    path: ClassVar[str] = "/webhooks/hubspot"
    unreadable_status: ClassVar[int] = 200

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Check HubSpot's signature."""
        self.signature.verify(request, now)

    def parse(self, body: bytes, now: datetime) -> Parsed:
        """Read a batch; an empty one is fine."""
        batch = parse_json(body)
        if not isinstance(batch, list):
            raise PayloadError("not_an_array", "HubSpot sends a JSON array of events")
        return read_elements(self.name, batch, now, self._event)

    def _event(self, element: Element, now: datetime) -> Event:
        return read_event(element, now, self.triggers)
