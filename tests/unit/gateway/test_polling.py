"""Polling beside the requests: how often, and that nothing ends it but the server."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from structlog.testing import capture_logs
from support.clock import ManualClock

from enrichment_dagster.gateway.polling import EXPIRE_SECONDS, POLL_SECONDS, POLLS_PER_ROUND, poll_late_answers


class Late:
    """Notes when it was asked for what."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.polled, self.expired, self.failing = clock, [], [], False

    async def poll_due(self, limit: int) -> int:
        assert limit == POLLS_PER_ROUND
        self.polled.append(self.clock.monotonic())
        if self.failing:
            raise OSError("disk full")
        return 0

    async def expire(self) -> int:
        self.expired.append(self.clock.monotonic())
        return 0


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def late(clock):
    return Late(clock)


async def run(late, clock, seconds):
    closed = []

    async def close():
        closed.append(clock.monotonic())

    task = asyncio.create_task(poll_late_answers(late, clock, close)())
    await clock.sleep(seconds)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return closed


async def test_it_polls_every_few_seconds_and_gives_up_every_minute(late, clock):
    closed = await run(late, clock, 2 * EXPIRE_SECONDS + 1)
    pauses = {later - sooner for sooner, later in zip(late.polled, late.polled[1:], strict=False)}
    assert pauses == {POLL_SECONDS}
    assert [at - late.expired[0] for at in late.expired] == [0.0, EXPIRE_SECONDS, 2 * EXPIRE_SECONDS]
    assert len(closed) == 1, "its connections end with the server"


async def test_a_store_that_is_away_is_logged_and_does_not_end_it(late, clock):
    late.failing = True
    with capture_logs() as logs:
        await run(late, clock, 11)
    assert len(late.polled) == 3
    assert [entry["failed"] for entry in logs] == ["poll"] * 3
    assert late.expired != []
