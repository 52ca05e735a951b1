"""Housekeeping beside the requests: started with the server, cancelled with it, and never dead without a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from enrichment_dagster.gateway.deps import Background, Health

_log = structlog.get_logger(__name__)


class BackgroundTasks:
    """Runs the hooks. One that raises is logged, stays down and makes the gateway not ready."""

    def __init__(self, hooks: Sequence[Background]) -> None:
        self._hooks = hooks
        self._dead: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run all hooks inside the block."""
        tasks = [asyncio.create_task(self._run(hook)) for hook in self._hooks]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def health(self) -> Health:
        """Say which hooks are down."""
        return Health(not self._dead, ", ".join(self._dead) or "all running")

    async def _run(self, hook: Background) -> None:
        name = getattr(hook, "__qualname__", type(hook).__name__)
        try:
            await hook()
        except Exception:  # noqa: BLE001 - whatever ends a hook is an operator's matter
            _log.exception("background task died", task=name)
            self._dead.append(name)
