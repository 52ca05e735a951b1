"""Waiting on the injected clock: no wait outlasts a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from enrichment_dagster.clock import Clock


async def first_done(tasks: Iterable[asyncio.Future[Any]], clock: Clock, until: float) -> bool:
    """Wait until one of the tasks is done, or until this monotonic moment; says whether one is done."""
    waiting = set(tasks)
    timer = asyncio.ensure_future(clock.sleep(max(0.0, until - clock.monotonic())))
    try:
        done, _ = await asyncio.wait({*waiting, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
    return bool(done & waiting)


async def acquired(lock: asyncio.Lock, clock: Clock, until: float) -> bool:
    """Take the lock, waiting in line until this monotonic moment at the most; says whether it was taken."""
    if not lock.locked():
        return await lock.acquire()
    turn = asyncio.ensure_future(lock.acquire())
    try:
        await first_done([turn], clock, until)
    finally:
        taken = turn.done() and not turn.cancelled()
        if not taken:
            turn.cancel()
    return taken
