"""Time as a dependency: production reads the system clock, tests move one by hand."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Source of time. Nothing in ``domain`` or ``engine`` reads time from anywhere else."""

    def now(self) -> datetime:
        """Return the present moment in UTC, with its time zone set."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go backwards; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let this much time pass."""
        ...

    def timer(self, seconds: float) -> asyncio.Future[None]:
        """Return what is done when this much time has passed; to be cancelled when nobody waits for it any more."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def timer(self, seconds: float) -> asyncio.Future[None]:
        """Return a future; a task that sleeps would be four times as dear."""
        loop = asyncio.get_running_loop()
        end: asyncio.Future[None] = loop.create_future()
        alarm = loop.call_later(seconds, _end, end)
        end.add_done_callback(lambda _end: alarm.cancel())
        return end


def _end(end: asyncio.Future[None]) -> None:
    if not end.done():
        end.set_result(None)
