"""What the gateway asks of the journal: events, bodies that can't be read, visitors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from enrichment_dagster.domain.event import Event


@dataclass(frozen=True, slots=True)
class KeptBody:
    """A body from an authenticated sender that can't be read: kept with the reason, to be replayed."""

    source: str
    reason: str
    detail: str
    body: bytes
    received_at: datetime


class Journal(Protocol):
    """The append-only record of received events. When a call returns, its rows are durable."""

    async def append(self, events: Sequence[Event]) -> list[bool]:
        """Store the events in one commit; False marks one whose dedup key was there already."""
        ...

    async def keep(self, body: KeptBody) -> None:
        """Store a body that can't be read."""
        ...


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody on a website, under an id of a sender's, and the address that this sender once named with it."""

    source: str
    visitor: str
    email: str


class VisitorStore(Protocol):
    """Who visitors are."""

    async def remember(self, visitors: Sequence[Visitor]) -> None:
        """Store addresses; the last one of a visitor counts."""
        ...

    async def emails(self, source: str, visitors: Sequence[str]) -> Mapping[str, str]:
        """Return the addresses of those of a source's visitors who are known."""
        ...
