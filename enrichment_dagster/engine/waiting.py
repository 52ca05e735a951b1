"""Waiting on the injected clock: no wait outlasts a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from enrichment_dagster.clock import Clock


async def first_done(tasks: Iterable[asyncio.Future[Any]], clock: Clock, until: float) -> bool:
    """Wait until one of the tasks is done, or until this monotonic moment; says whether one is done."""
    waiting = list(tasks)
    if not any(task.done() for task in waiting):
        timer = clock.timer(max(0.0, until - clock.monotonic()))
        try:
            await _any_of([*waiting, timer])
        finally:
            timer.cancel()
    return any(task.done() for task in waiting)


async def _any_of(futures: Sequence[asyncio.Future[Any]]) -> None:
    """Wait until one of them is done: ``asyncio.wait`` without what it does besides."""
    found: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(_future: asyncio.Future[Any]) -> None:
        if not found.done():
            found.set_result(None)

    for future in futures:
        future.add_done_callback(note)
    try:
        await found
    finally:
        for future in futures:
            future.remove_done_callback(note)


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
