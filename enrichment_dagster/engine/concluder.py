"""Storing what the routing lane answered, and delivering what it owes: in micro-batches, after the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.conclude import Validator
from enrichment_dagster.engine.delivery import Deliverer
from enrichment_dagster.engine.routing_result import Finished, conclusions
from enrichment_dagster.engine.tasks import Tasks
from enrichment_dagster.engine.waiting import first_done
from enrichment_dagster.ports import RecordMapper, RoutingConclusion, RoutingStore

_EVERY_SECONDS = 0.1
_AT_LEISURE_SECONDS = 0.5
"""For results that no record waits for: to check one value takes as long as to check a thousand."""

_MOST_TOGETHER = 200
_MOST_IN_A_COMMIT = 3
"""Calls that are to be sent wait for the commit under way: it must be short."""

_log = structlog.get_logger(__name__)

Aside = Callable[..., Awaitable[Any]]
"""Calls a function so that the event loop goes on meanwhile, as ``asyncio.to_thread`` does."""


class Concluder:
    """Stores finished events and tells their records."""

    def __init__(
        self,
        *,
        store: RoutingStore,
        mapper: RecordMapper,
        deliverer: Deliverer,
        validate: Validator,
        clock: Clock,
        tasks: Tasks,
        owner: str,
        aside: Aside,
    ) -> None:
        self._store = store
        self._mapper = mapper
        self._deliverer = deliverer
        self._validate = validate
        self._clock = clock
        self._tasks = tasks
        self._owner = owner
        self._aside = aside
        self._finished: asyncio.Queue[Finished] = asyncio.Queue()
        self._hurry = asyncio.Event()  # a record waits for what is there, or it is as much as goes together

    def put(self, finished: Finished) -> None:
        """Take an answered event."""
        self._finished.put_nowait(finished)
        if self._mapper.knows(finished.draft.item.event.subject) or self._finished.qsize() >= _MOST_TOGETHER:
            self._hurry.set()

    async def run(self) -> None:
        """Store and deliver what ``put`` was given, for ever."""
        while True:
            batch = await drained(self._finished)
            if self._finished.empty():
                self._hurry.clear()
            await asyncio.shield(self._tasks.start(self._conclude(batch)))  # whoever ends this loop must not end that
            await self._clock.sleep(_EVERY_SECONDS)
            await self._leisure()

    async def _leisure(self) -> None:
        hurried = asyncio.ensure_future(self._hurry.wait())
        try:
            until = self._clock.monotonic() + _AT_LEISURE_SECONDS - _EVERY_SECONDS
            await first_done([hurried], self._clock, until)
        finally:
            hurried.cancel()

    async def flush(self) -> None:
        """Begin to store all that is there now."""
        while not self._finished.empty():
            self._tasks.start(self._conclude(await drained(self._finished)))

    async def leave(self, event_ids: Sequence[str]) -> None:
        """Let the standard lane take events at once that can't be routed."""
        try:
            await self._store.release(event_ids, self._clock.now())
        except Exception:  # noqa: BLE001 - then their reservations run out
            _log.exception("reservations could not be given up", events=len(event_ids))

    async def _conclude(self, batch: Sequence[Finished]) -> None:
        now = self._clock.now()
        try:
            # Data frames take 10 ms, in which no webhook would be answered.
            found: list[RoutingConclusion] = await self._aside(conclusions, batch, self._mapper, self._validate, now)
            for first in range(0, len(found), _MOST_IN_A_COMMIT):
                await self._store.conclude(found[first : first + _MOST_IN_A_COMMIT], now)
        except Exception:  # noqa: BLE001 - their reservations run out, and the standard lane takes them
            _log.exception("routing results could not be stored", events=len(batch))
            return
        owed = [item.enrichment.item.work_id for item in found if item.enrichment.owed]
        if owed:
            self._tasks.start(self._deliver(owed))

    async def _deliver(self, work_ids: Sequence[str]) -> None:
        try:
            await self._deliverer.deliver(self._owner, work_ids)
        except Exception:  # noqa: BLE001 - what is owed stays owed: the standard lane's runs deliver it
            _log.exception("routing effects could not be delivered", count=len(work_ids))


async def drained(queue: asyncio.Queue[Any]) -> list[Any]:
    """Wait for something and return all that is there by then, up to a limit."""
    found = [await queue.get()]
    while len(found) < _MOST_TOGETHER and not queue.empty():
        found.append(queue.get_nowait())
    return found
