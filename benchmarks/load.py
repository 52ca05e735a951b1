"""An open-loop generator: requests leave when they are due, whatever became of earlier ones.

Latency counts from the moment at which a request was due, so that a server (or a generator) that stalls pays for all
that waited meanwhile: no coordinated omission.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

import uvloop

_LEAD_IN_SECONDS = 0.1
_PRIORITY = -10
_TIMER_SECONDS = 0.0015
"""The loop's timer may come this much too early: rather late, which counts, than early, which would flatter."""
_LOST = 0
"""The status of a request that got no answer, or not in time."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request: when it was due (epoch seconds), how late it left, when it was answered after it was due."""

    due_at: float
    late_seconds: float
    latency_seconds: float
    status: int
    body: bytes = field(default=b"", repr=False)

    @property
    def accepted(self) -> bool:
        """Say whether the answer was 2xx."""
        return 200 <= self.status < 300


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect to a port of this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def close(self) -> None:
        """Close it, whatever state it is in."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and read its answer (with a Content-Length) to the end; returns status and body."""
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        length = head.index(b"content-length:") + 15
        body = await self.reader.readexactly(int(head[length : head.index(b"\r\n", length)]))
        return int(head.split(b" ", 2)[1]), body


def send(
    port: int,
    requests: Sequence[bytes],
    due: Sequence[float],
    connections: int = 64,
    *,
    patience_seconds: float = 60.0,
) -> list[Exchange]:
    """Send each request at its time (seconds from now) over kept connections; returns in order.

    An answer that takes longer than the patience counts as lost.
    """
    gc.collect()
    gc.disable()  # a collection of the generator's must not look like a pause of the server's
    try:
        with _first_in_line():
            return uvloop.run(_send(port, requests, due, connections, patience_seconds))
    finally:
        gc.enable()


@contextmanager
def _first_in_line() -> Iterator[None]:
    """Go before the server's processes where that is allowed: a sender has a processor of its own."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, min(usual, _PRIORITY))
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, usual)


async def _send(
    port: int, requests: Sequence[bytes], due: Sequence[float], connections: int, patience: float
) -> list[Exchange]:
    pool: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(min(connections, len(requests))):
        pool.put_nowait(await _Connection.open(port))
    start, wall = time.perf_counter() + _LEAD_IN_SECONDS, time.time() + _LEAD_IN_SECONDS

    async def one(request: bytes, at: float) -> Exchange:
        connection = await pool.get()
        late = time.perf_counter() - start - at
        status, body = _LOST, b""
        try:
            async with asyncio.timeout(patience):
                status, body = await connection.exchange(request)
        except (OSError, asyncio.IncompleteReadError, ValueError):  # TimeoutError is an OSError
            status = _LOST
        latency = time.perf_counter() - start - at
        if status == _LOST:
            await connection.close()
            connection = await _Connection.open(port)
        pool.put_nowait(connection)
        return Exchange(wall + at, late, latency, status, body)

    tasks = []
    for request, at in zip(requests, due, strict=True):
        wait = start + at - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait + _TIMER_SECONDS)
        tasks.append(asyncio.create_task(one(request, at)))
    done = await asyncio.gather(*tasks)
    while not pool.empty():
        await pool.get_nowait().close()
    return list(done)
