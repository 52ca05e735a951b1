"""What the routing lane and the deliveries ask of the operational store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from enrichment_dagster.domain.event import Event
from enrichment_dagster.ports.work import Enrichment


@dataclass(frozen=True, slots=True)
class RoutingConclusion:
    """What the gateway found for one event. ``goes_on``: the standard lane continues; else this was all."""

    enrichment: Enrichment
    goes_on: bool
    cached: bool = False  # every answer came from the cache


class RoutingStore(Protocol):
    """The gateway's side of the operational store."""

    async def conclude(self, conclusions: Sequence[RoutingConclusion], finished_at: datetime) -> None:
        """Store results and outbox, and hand the events on or end them, in ONE transaction.

        An event whose reservation has run out meanwhile is left to the standard lane; the results are kept for it.
        """
        ...

    async def release(self, event_ids: Sequence[str], at: datetime) -> None:
        """Give up the reservations of events that were not routed: the standard lane may take them at once."""
        ...


class OwnWrites(Protocol):
    """What we wrote to CRM records, so that the CRM's reports of it start nothing."""

    async def caused(self, events: Sequence[Event]) -> frozenset[str]:
        """Return the ids of those events that our own writes caused: nothing may be bought for them."""
        ...
