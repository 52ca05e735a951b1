"""The lanes: one event type, its sensor, its asset and its job. A new event type is one entry here and in the YAML.

Plain data: the gateway and the command line read it, and must not wait for Dagster's import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from enrichment_dagster.domain.triggers import (
    CONTACT_ASSOCIATED,
    DATA_QUALITY,
    INTENT_SIGNAL,
    LEAD_CREATED,
    OPPORTUNITY_STAGE_CHANGED,
    WEBSITE_VISIT,
)

BATCH_TAG = "enrichment/batch"
ATTEMPT_TAG = "enrichment/attempt"
LANE_TAG = "enrichment/lane"
OWNER = "team:revops"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lane:
    """What one event type is called in Dagster."""

    event_type: str
    asset: str
    sensor: str
    meaning: str
    freshness: timedelta  # the lane has stood still when it neither worked nor was idle for so long
    every: timedelta = timedelta(seconds=15)  # a tick comes this often: each costs a tenth of a second of processor
    routing: str = ""  # the asset of what the gateway answers at once; empty: this type is never routed

    @property
    def job(self) -> str:
        """Return the name of the job that enriches a batch."""
        return f"{self.asset}_job"


LANES = (
    Lane(
        event_type=LEAD_CREATED,
        asset="lead_enrichment",
        sensor="new_lead",
        meaning="Leads that came in by form, list import or API",
        freshness=timedelta(minutes=5),
        every=timedelta(seconds=5),  # as often as the daemon comes round
        routing="lead_routing",
    ),
    Lane(
        event_type=CONTACT_ASSOCIATED,
        asset="account_enrichment",
        sensor="associated_contact",
        meaning="Accounts that a contact was linked to",
        freshness=timedelta(minutes=10),
    ),
    Lane(
        event_type=OPPORTUNITY_STAGE_CHANGED,
        asset="opportunity_enrichment",
        sensor="advanced_opportunity",
        meaning="Accounts of opportunities that reached a stage that matters",
        freshness=timedelta(minutes=10),
    ),
    Lane(
        event_type=WEBSITE_VISIT,
        asset="visitor_enrichment",
        sensor="known_visitor",
        meaning="Known people who came back to the website",
        freshness=timedelta(minutes=10),
    ),
    Lane(
        event_type=INTENT_SIGNAL,
        asset="intent_enrichment",
        sensor="account_intent",
        meaning="Accounts that show high intent on a topic",
        freshness=timedelta(minutes=10),
    ),
    Lane(
        event_type=DATA_QUALITY,
        asset="contact_repair",
        sensor="bad_contact_data",
        meaning="Contacts whose address bounced, whose phone is disconnected or who changed jobs",
        freshness=timedelta(hours=2),
    ),
)

ROUTED = tuple(lane for lane in LANES if lane.routing)
"""The lanes whose events the gateway routes."""


def with_lane(event_types: Mapping[str, T]) -> dict[str, T]:
    """Return of what is given by event type that which Dagster has a lane for; nobody handles the others."""
    built = {lane.event_type for lane in LANES}
    return {name: found for name, found in event_types.items() if name in built}
