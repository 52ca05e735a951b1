"""What the API is built from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from enrichment_dagster.domain.event import Event
from enrichment_dagster.engine.routing_result import RoutingResult
from enrichment_dagster.gateway.api.callers import Callers
from enrichment_dagster.ports import ApiRequests, OwedAnswers
from enrichment_dagster.store.story import Story

ReadStory = Callable[[str], Story | None]
"""Returns all that is known of an event, or None; blocks."""


class Answering(Protocol):
    """What the API needs of the routing lane."""

    def routes(self, event_type: str) -> bool:
        """Say whether this type has a routing plan."""
        ...

    async def answer(self, event: Event, known: Mapping[str, Any], deadline_seconds: float) -> RoutingResult:
        """Record the event and enrich it within the deadline.

        Raises:
            Overloaded: come again; nothing was recorded.
            StoreError: the event could not be recorded.
        """
        ...


@dataclass(frozen=True, slots=True)
class EnrichDeps:
    """``event_types`` are those that may be asked for asynchronously; ``public_url`` is where callers reach us."""

    lane: Answering
    callers: Callers
    requests: ApiRequests
    owed: OwedAnswers
    read_story: ReadStory
    event_types: frozenset[str]
    deadline_seconds: float = 2.5
    public_url: str = ""
    local_callbacks: bool = False
