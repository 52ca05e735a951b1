"""A clock that tests move by hand, and that moves by itself when everybody sleeps."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

START = datetime(2026, 9, 21, 12, 0, tzinfo=UTC)


class ManualClock:
    """Time stands still while anybody works. When all wait, it jumps to the first sleeper's end, at no cost.

    Sleepers wake in the order of their ends. Only for code that runs in one event loop: what threads do in the
    meantime is not seen.
    """

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self._watching = False
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return 1_000.0 + self._elapsed

    def put_back(self, seconds: float) -> None:
        """Set the wall clock back, as an administrator or NTP does; monotonic time goes on."""
        self._start -= timedelta(seconds=seconds)

    def advance(self, seconds: float) -> None:
        self._elapsed += seconds
        self._wake()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.timer(seconds)

    def timer(self, seconds: float) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        end: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._sleepers, (self._elapsed + max(0.0, seconds), next(self._order), end))
        self._watch_later(loop)
        return end

    def _watch_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._watching:
            self._watching = True
            loop.call_soon(self._watch, loop)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watching = False
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        if not self._sleepers:
            return
        if not loop._ready:  # type: ignore[attr-defined]  # nobody has anything to do at this moment
            self._elapsed = max(self._elapsed, self._sleepers[0][0])
            self._wake()
        self._watch_later(loop)

    def _wake(self) -> None:
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            _, _, end = heapq.heappop(self._sleepers)
            if not end.done():
                end.set_result(None)
