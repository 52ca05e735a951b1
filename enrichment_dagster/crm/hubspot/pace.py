"""How often HubSpot is searched: a limit of its own, far below that of all other calls.

Source: HubSpot's search guide: five requests a second for all of an account's apps; the answers carry no headers that
tell how many are left, and a 429 names the policy ``SECONDLY``.
"""

from __future__ import annotations

from enrichment_dagster.clock import Clock

SEARCHES_PER_SECOND = 4
"""One less than the limit: calls do not arrive as evenly as they are sent."""


class Pace:
    """Turns at equal distances, in the order in which they are asked for."""

    def __init__(self, clock: Clock, per_second: float) -> None:
        self._clock = clock
        self._distance = 1 / per_second
        self._next = float("-inf")

    async def turn(self) -> None:
        """Wait until it is one's turn."""
        now = self._clock.monotonic()
        mine = max(now, self._next)
        self._next = mine + self._distance
        if mine > now:
            await self._clock.sleep(mine - now)
