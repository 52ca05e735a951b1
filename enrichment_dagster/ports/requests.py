"""What POST /enrich asks of the operational store: requests that are made once, answers that are owed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request with an idempotency key, as it was made first. ``answer`` is None while it is being worked on."""

    event_id: str
    body_hash: str
    answer: Mapping[str, Any] | None


class ApiRequests(Protocol):
    """Requests by their idempotency keys: the same key gets the same answer."""

    async def begin(self, caller: str, key: str, body_hash: str, event_id: str) -> ApiRequest | None:
        """Note a request; returns the earlier one of the same key, or None: this one is to be worked on.

        None for a new key, and for one whose worker has not answered for so long that it is taken for dead.
        """
        ...

    async def finish(self, caller: str, key: str, answer: Mapping[str, Any]) -> None:
        """Keep the answer; durable when this returns."""
        ...

    async def release(self, caller: str, key: str) -> None:
        """Forget a request that came to nothing, so that it may be made again at once."""
        ...


@dataclass(frozen=True, slots=True)
class OwedAnswer:
    """An answer that a caller wants to have posted to a URL once the event has ended."""

    event_id: str
    caller: str
    url: str
    tries: int  # made so far


class OwedAnswers(Protocol):
    """Answers owed to callers that asked asynchronously."""

    async def note(self, event_id: str, caller: str, url: str) -> None:
        """Note that an answer will be owed; durable when this returns. The first note of an event counts."""
        ...

    async def claim(self, limit: int, lease_seconds: float) -> list[OwedAnswer]:
        """Lease answers of events that have ended and that are due, the longest due first."""
        ...

    async def close(self, event_id: str, state: str, reason: str = "") -> None:
        """Note the end: "done" or "given_up"."""
        ...

    async def put_off(self, event_id: str, reason: str, delay_seconds: float) -> None:
        """Count a try that failed, and say when the next one is due."""
        ...
