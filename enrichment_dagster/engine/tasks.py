"""Tasks that go on after whoever started them has gone on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.waiting import first_done


class Tasks:
    """Keeps tasks from being forgotten while they run, and waits for them in the end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for the task gets it; where nobody does any more it is of no use

    @property
    def any(self) -> bool:
        """Say whether a task runs."""
        return bool(self._running)

    async def one_done(self, until: float) -> None:
        """Wait until one of the tasks is done, at most until this monotonic moment."""
        await first_done(self._running, self._clock, until)

    def cancel(self) -> None:
        """Cancel what still runs."""
        for task in self._running:
            task.cancel()
