"""What the gateway needs of a sender: a path, a proof of origin and a parser. Pure: no I/O, time is handed in."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from enrichment_dagster.domain.event import Event
from enrichment_dagster.ports import KeptBody


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as it came in. ``headers`` is asked with lower-case names; ``body`` is what the sender signed."""

    method: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a body holds: the events, and the elements of a good batch that can't be read."""

    events: list[Event] = field(default_factory=list)
    rejects: list[KeptBody] = field(default_factory=list)


class Sender(Protocol):
    """One sender of webhooks."""

    @property
    def name(self) -> str:
        """Return the name that its events carry as ``source``."""
        ...

    @property
    def path(self) -> str:
        """Return the path that it posts to."""
        ...

    @property
    def unreadable_status(self) -> int:
        """Return the HTTP answer to a proven body that can't be read and has been kept."""
        ...

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Prove that the request comes from the sender.

        Raises:
            SignatureError: it is not proven; ``reason`` says how.
        """
        ...

    def parse(self, body: bytes, now: datetime) -> Parsed:
        """Turn a proven body into events.

        Raises:
            PayloadError: the body as a whole can't be read.
        """
        ...


def any_equal(candidates: Sequence[bytes], given: bytes) -> bool:
    """Compare with every candidate in constant time (two while a secret is rotated)."""
    return any([hmac.compare_digest(candidate, given) for candidate in candidates])  # noqa: C419 - no early exit
