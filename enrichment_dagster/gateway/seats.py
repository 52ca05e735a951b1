"""Files that processes hold while they live: who does the housekeeping, and how many are there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog
from filelock import FileLock, Timeout

from enrichment_dagster.clock import Clock
from enrichment_dagster.gateway.deps import Background, Health, HealthCheck

TRY_SECONDS = 1.0

_log = structlog.get_logger(__name__)


def take(path: Path) -> FileLock | None:
    """Hold a file until the process ends, or return None where another process holds it.

    The system frees it when its holder dies, however that happens.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def is_taken(path: Path) -> bool:
    """Say whether a process holds a file."""
    found = take(path)
    if found is None:
        return True
    found.release()
    return False


def in_one_process(path: Path, tasks: Sequence[Background], clock: Clock) -> Background:
    """Return a background task that does others in one process only: when its holder dies, another one goes on."""

    async def housekeeping() -> None:
        while (lock := take(path)) is None:
            await clock.sleep(TRY_SECONDS)
        _log.info("this process does the housekeeping")
        try:
            async with asyncio.TaskGroup() as group:
                for task in tasks:
                    group.create_task(task())  # type: ignore[arg-type]  # all of them are coroutine functions
        finally:
            lock.release()

    return housekeeping


def hold_seat(folder: Path, number: int, clock: Clock) -> Background:
    """Return a background task that shows others that this process serves."""

    async def seat() -> None:
        while (lock := take(_seat(folder, number))) is None:
            await clock.sleep(TRY_SECONDS)
        try:
            await asyncio.Event().wait()
        finally:
            lock.release()

    return seat


def workers_check(folder: Path, count: int) -> HealthCheck:
    """Return a check that says how many processes serve. Fewer than wanted is no reason to turn senders away."""

    async def check() -> Health:
        alive = sum(is_taken(_seat(folder, number)) for number in range(1, count + 1))
        return Health(True, f"{alive} of {count} run")

    return check


def _seat(folder: Path, number: int) -> Path:
    return folder / f"worker-{number}.lock"
