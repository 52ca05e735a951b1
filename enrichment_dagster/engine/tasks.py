"""Tasks that go on after whoever started them has gone on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Keeps tasks from being forgotten while they run, and waits for them in the end."""

    def __init__(self) -> None:
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
    def running(self) -> list[asyncio.Task[Any]]:
        """Return what still runs."""
        return list(self._running)

    def cancel(self) -> None:
        """Cancel what still runs."""
        for task in self._running:
            task.cancel()
