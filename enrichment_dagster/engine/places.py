"""Overload protection: so many requests are worked on at once, so many wait, and the rest is turned away at once.

How many are worked on follows from how long our own part of a request takes (``felt``): requests that wait for a
provider cost nothing, but those that wait for this process and its disk make each other late.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.adaptive import AdaptiveLimit
from enrichment_dagster.engine.waiting import first_done
from enrichment_dagster.errors import Overloaded

SLOW_SECONDS = 0.15
FIRST_PLACES = 64
LEAST_PLACES = 8


class Places:
    """A bounded number of places with a bounded, fair line before them."""

    def __init__(self, clock: Clock, at_once: int, most_waiting: int) -> None:
        self._clock = clock
        self._places = AdaptiveLimit(
            clock, least=LEAST_PLACES, usual=FIRST_PLACES, most=at_once, slow_seconds=SLOW_SECONDS
        )
        self._taken = 0
        self.most_waiting = most_waiting
        self._line: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def taken(self, patience_seconds: float) -> AsyncIterator[None]:
        """Hold a place inside the block.

        Raises:
            Overloaded: the line is full, or no place became free in time.
        """
        await self._take(patience_seconds)
        try:
            yield
        finally:
            self._give_back()

    def felt(self, seconds: float) -> None:
        """Say how long our own part of a request has taken, or one step of it that every request takes."""
        self._places.felt(seconds, self._taken)
        self._call_in()

    async def _take(self, patience_seconds: float) -> None:
        if self._taken < self._places.value and not self._line:
            self._taken += 1
            return
        if len(self._line) >= self.most_waiting:
            raise Overloaded("the line is full")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            in_time = await first_done([turn], self._clock, self._clock.monotonic() + patience_seconds)
        except asyncio.CancelledError:
            self._leave(turn)
            raise
        if not in_time:
            self._leave(turn)
            raise Overloaded("no place became free in time")

    def _leave(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self._give_back()  # the turn came at the same moment
        else:
            turn.cancel()
            self._line.remove(turn)

    def _give_back(self) -> None:
        self._taken -= 1
        self._call_in()

    def _call_in(self) -> None:
        """Give free places to those who wait."""
        while self._line and self._taken < self._places.value:
            turn = self._line.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)
