"""Overload protection: so many requests are worked on at once, so many wait, and the rest is turned away at once.

How many are worked on follows from how long our own part of a request takes (``felt``): requests that wait for a
provider cost nothing, but those that wait for this process and its disk make each other late. Where that becomes slow
there are fewer places. Where it is quick there is one more with each request, as far as they are needed; those that
were needed once and are no more are taken back, or the next rush would find more places than it can be answered in.
That is how TCP finds out how much may be under way: additive increase, multiplicative decrease.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.waiting import first_done
from enrichment_dagster.errors import Overloaded

SLOW_SECONDS = 0.15
FIRST_PLACES = 64
LEAST_PLACES = 8
_DECREASE = 0.7


class Places:
    """A bounded number of places with a bounded, fair line before them."""

    def __init__(self, clock: Clock, at_once: int, most_waiting: int) -> None:
        self._clock = clock
        self._most = at_once
        self._usual = min(at_once, FIRST_PLACES)
        self._least = min(at_once, LEAST_PLACES)
        self._places = float(self._usual)  # at present
        self._taken = 0
        self._decreased_at = float("-inf")
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
        now = self._clock.monotonic()
        if seconds <= SLOW_SECONDS:
            if self._places < self._usual or self._taken >= self._places / 2:
                self._places = min(self._most, self._places + 1)
                self._call_in()
            else:
                self._places = max(self._usual, self._places - 1)
        elif now - self._decreased_at >= seconds:  # what was begun before the last decrease says nothing new
            self._decreased_at = now
            self._places = max(self._least, min(self._places, self._taken) * _DECREASE)

    async def _take(self, patience_seconds: float) -> None:
        if self._taken < self._places and not self._line:
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
        while self._line and self._taken < self._places:
            turn = self._line.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)
