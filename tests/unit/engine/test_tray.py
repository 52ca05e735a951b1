"""What is ready to be stored waits for company for a moment, and the last one for nothing."""

from __future__ import annotations

import asyncio

from support.clock import ManualClock

from enrichment_dagster.engine.tray import GATHER_SECONDS, Tray


async def put_later(tray: Tray[int], clock: ManualClock, item: int, seconds: float) -> None:
    await clock.sleep(seconds)
    tray.put(item)


async def test_items_that_come_soon_after_each_other_are_given_out_together() -> None:
    clock = ManualClock()
    tray: Tray[int] = Tray(4, 10, clock)
    later = [put_later(tray, clock, n, n * GATHER_SECONDS / 3) for n in range(3)]
    late = put_later(tray, clock, 3, 3 * GATHER_SECONDS)
    async with asyncio.TaskGroup() as group:
        for work in (*later, late):
            group.create_task(work)
        assert await tray.take() == [0, 1, 2]
        assert tray.left == 1
        assert await tray.take() == [3]
    assert tray.left == 0


async def test_a_lone_item_waits_for_nothing() -> None:
    clock = ManualClock()
    tray: Tray[str] = Tray(1, 10, clock)
    tray.put("only")
    begun = clock.monotonic()
    assert await tray.take() == ["only"]
    assert clock.monotonic() == begun


async def test_the_last_of_a_batch_ends_the_waiting() -> None:
    clock = ManualClock()
    tray: Tray[int] = Tray(2, 10, clock)
    begun = clock.monotonic()
    tray.put(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(put_later(tray, clock, 2, GATHER_SECONDS / 10))
        assert await tray.take() == [1, 2]
    assert clock.monotonic() - begun < GATHER_SECONDS


async def test_a_full_handful_waits_no_longer() -> None:
    clock = ManualClock()
    tray: Tray[int] = Tray(100, 3, clock)
    begun = clock.monotonic()
    for number in range(3):
        tray.put(number)
    assert await tray.take() == [0, 1, 2]
    assert clock.monotonic() == begun
