"""What is asked of the store for answers that providers give later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from enrichment_dagster.ports.calls import AttemptKey, Settlement


@dataclass(frozen=True, slots=True)
class WaitingAnswer:
    """A call that the provider answers later, as it is stored. ``state``: see the table ``pending_answers``."""

    attempt_id: str
    key: AttemptKey
    lookup: str
    query: Mapping[str, Any]  # as ``AttemptRequest.query``
    request_id: str
    state: str
    event_id: str
    reserved_micros: int
    expires_at: datetime
    polls: int = 0  # polls so far that brought nothing


class PendingStore(Protocol):
    """The calls that wait for their answers, and the work that waits with them."""

    async def find(self, token: str) -> WaitingAnswer | None:
        """Return the call that a callback URL's token was made for, whatever its state."""
        ...

    async def complete(self, waiting: WaitingAnswer, settlement: Settlement) -> bool:
        """Settle the call and make the work that takes its answer up, in ONE transaction.

        False: it was answered before, or too much time has passed; nothing was stored.
        """
        ...

    async def due_polls(self, limit: int) -> list[WaitingAnswer]:
        """Return calls whose answer is to be asked for now, the longest due first."""
        ...

    async def put_off(self, attempt_id: str, next_poll_at: datetime) -> None:
        """Count a poll that brought nothing, and say when the next one is due."""
        ...

    async def expire(self) -> int:
        """Give up the calls that nobody answered in time, and wake who waited for them; returns how many."""
        ...
