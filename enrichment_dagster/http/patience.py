"""The deadline of an exchange, by a clock that knows when we were late ourselves."""

from __future__ import annotations

import asyncio
from types import TracebackType

LATE_SECONDS = 0.25
GRACE_SECONDS = 0.5


class Patience:
    """Raises TimeoutError in its block when the time is over.

    Where the event loop stood still, its timers run before it looks at what has come in: an answer that is there, and
    paid for, would be thrown away. So a timer that is late itself gives the exchange a moment more, once.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._alarm: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_later(self._seconds, self._ring, loop, loop.time() + self._seconds)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _ring(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self._limit.reschedule(now + GRACE_SECONDS if now - due > LATE_SECONDS else now)
