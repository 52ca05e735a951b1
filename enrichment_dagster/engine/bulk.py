"""Several askers, one call: queries that come together go to a vendor's bulk endpoint together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from enrichment_dagster.clock import Clock
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import Answer, Lookup, Pending, Query

GATHER_SECONDS = 0.005
"""How long the first asker waits for company. A lone lead has a minute; a vendor's call takes ten times as long."""


Result = Answer | Pending | ProviderError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call brought for one query. ``speaks``: it stands for the whole call where calls are counted."""

    result: Result
    speaks: bool = True


@dataclass(slots=True)
class _Group:
    queries: list[Query] = field(default_factory=list)
    futures: list[asyncio.Future[Outcome]] = field(default_factory=list)
    timeout_seconds: float = 0.0


class BulkCaller:
    """Gathers the queries of one lookup for a moment, or until a call is full."""

    def __init__(self, lookup: Lookup, clock: Clock) -> None:
        self._lookup = lookup
        self._clock = clock
        self._open: _Group | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def fetch(self, query: Query, timeout_seconds: float) -> Outcome:
        """Return the answer to one query, or the error: the call failed, or the vendor refused this query."""
        group = self._open
        if group is None:
            group = self._open = _Group()
            self._start(self._send_later(group))
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        group.queries.append(query)
        group.futures.append(future)
        group.timeout_seconds = max(group.timeout_seconds, timeout_seconds)
        if len(group.queries) >= self._lookup.bulk_size:
            self._open = None
            self._start(self._send(group))
        return await future

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _send_later(self, group: _Group) -> None:
        await self._clock.sleep(GATHER_SECONDS)
        if self._open is group:  # else it was full and is on its way
            self._open = None
            await self._send(group)

    async def _send(self, group: _Group) -> None:
        results: list[Result]
        try:
            if len(group.queries) == 1:
                results = [await self._lookup.fetch(group.queries[0], group.timeout_seconds)]
            else:
                results = list(await self._lookup.fetch_many(group.queries, group.timeout_seconds))
        except ProviderError as error:
            results = [error] * len(group.queries)
        except Exception as error:  # noqa: BLE001 - a fault of an adapter must cost these calls, not the batch
            results = [ProviderError("adapter_fault", type(error).__name__, transient=False)] * len(group.queries)
        if len(results) != len(group.queries):
            results = [ProviderError("adapter_fault", "results do not match", transient=False)] * len(group.queries)
        speaker = _speaker(results)
        for index, (future, result) in enumerate(zip(group.futures, results, strict=True)):
            if not future.done():
                future.set_result(Outcome(result, speaks=index == speaker))


def _speaker(results: Sequence[Result]) -> int:
    """Return whose result is the call's: an answer if there is one, a single row's error says nothing of the vendor.

    Ten failures for one failed call would open the breaker at once.
    """
    return next((index for index, result in enumerate(results) if not isinstance(result, ProviderError)), 0)
