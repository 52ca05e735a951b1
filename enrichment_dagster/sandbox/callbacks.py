"""What the vendors send back later: POSTs from inside the sandbox, after a delay, some of them more than once.

They go to the loopback address only, so that nothing of a made-up world leaves the machine.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import aiohttp

from enrichment_dagster.sandbox.counters import Counters

MOST_WAITING = 10_000
MOST_AT_ONCE = 20
TIMEOUT_SECONDS = 5.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def host_of(url: object) -> tuple[str, str]:
    """Scheme and host of a URL; both empty when it is none."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        return (parts.scheme, parts.hostname or "") if parts else ("", "")
    except ValueError:
        return "", ""


def is_loopback(url: object) -> bool:
    """Whether the URL names this machine by its loopback address."""
    scheme, host = host_of(url)
    return scheme in ("http", "https") and host in _LOOPBACK


class Callbacks:
    """Delivers callbacks of one sandbox: so many may wait, so many are under way at once, each is counted."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    @property
    def waiting(self) -> int:
        """How many callbacks are still owed."""
        return len(self._tasks)

    def post(
        self, name: str, url: str, body: Callable[[], bytes], delays: Sequence[float], headers: Mapping[str, str]
    ) -> None:
        """POST JSON to the URL after each of the delays (seconds); the body is made when it is sent."""
        for delay in delays:
            if not is_loopback(url):
                self._counters.callback(name, "not_loopback")
            elif len(self._tasks) >= MOST_WAITING:
                self._counters.callback(name, "dropped")
            else:
                task = asyncio.get_running_loop().create_task(self._later(name, url, body, delay, headers))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def drained(self) -> None:
        """Wait until nothing is owed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Give up what still waits, and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _later(
        self, name: str, url: str, body: Callable[[], bytes], delay: float, headers: Mapping[str, str]
    ) -> None:
        await asyncio.sleep(delay)
        async with self._places:
            self._counters.callback(name, await self._send(url, body(), headers))

    async def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> str:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))
        headers = {"content-type": "application/json", **headers}
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                return "delivered" if answer.status < 300 else "refused"
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return "failed"
