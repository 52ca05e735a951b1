"""What is ready to be stored, collected for a moment: a validation and a commit cost the same for one and for many."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.waiting import first_done

GATHER_SECONDS = 0.5
"""How long the first waits for company. Nothing is delivered before the whole batch is stored."""

Item = TypeVar("Item")


class Tray(Generic[Item]):
    """Takes ``expected`` items, one by one, and gives them out in handfuls. Whoever is last waits for nothing."""

    def __init__(self, expected: int, most: int, clock: Clock) -> None:
        """``most``: a handful of this size waits no longer."""
        self._left = expected
        self._most = most
        self._clock = clock
        self._items: list[Item] = []
        self._any = asyncio.Event()
        self._enough = asyncio.get_running_loop().create_future()

    @property
    def left(self) -> int:
        """Return how many items were not given out yet."""
        return self._left

    def put(self, item: Item) -> None:
        """Take an item."""
        self._items.append(item)
        self._any.set()
        if len(self._items) >= min(self._left, self._most) and not self._enough.done():
            self._enough.set_result(None)

    async def take(self) -> list[Item]:
        """Wait for an item and for others that come soon after it; return them all."""
        await self._any.wait()
        await first_done([self._enough], self._clock, self._clock.monotonic() + GATHER_SECONDS)
        items, self._items = self._items, []
        self._left -= len(items)
        self._any.clear()
        self._enough = asyncio.get_running_loop().create_future()
        return items
