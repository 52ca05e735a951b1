"""HubSpot app webhooks: a JSON array of events, signed (version 3).

Source: developers.hubspot.com, "Webhooks API". HubSpot repeats a delivery for 24 hours after any 4xx or 5xx, so
whatever it has signed is answered 200.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Self

from enrichment_dagster.domain.config import HubSpotIntakeConfig
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.hubspot_event import SOURCE, read_event
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.proof.hubspot import SignatureV3, signed_url
from enrichment_dagster.intake.sender import Manners


@dataclass(frozen=True, slots=True)
class HubSpot(JsonSender):
    """The sender "hubspot"."""

    name: ClassVar[str] = SOURCE
    path: ClassVar[str] = "/webhooks/hubspot"
    manners: ClassVar[Manners] = Manners(unreadable=200)

    @classmethod
    def build(cls, config: HubSpotIntakeConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        return cls(signature_v3(config, door), door.triggers)

    def _fact(self, element: Element, now: datetime) -> Fact:
        return read_event(element)


def signature_v3(config: HubSpotIntakeConfig, door: Door) -> SignatureV3:
    """Return the check of an app's signature on the configured URL."""
    return SignatureV3(door.secrets, signed_url(door.url).encode(), timedelta(seconds=config.tolerance_seconds))
