"""A deadline that does not throw away what came in while we were too busy to look."""

from __future__ import annotations

import asyncio

import pytest

from enrichment_dagster.http.patience import Patience


@pytest.fixture
async def stand_still(monkeypatch):
    """Let time pass without the event loop noticing."""
    loop = asyncio.get_running_loop()
    real, passed = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: real() + sum(passed))
    return passed.append


async def waiting(answer: asyncio.Future[str], seconds: float = 5.0) -> str:
    async with Patience(seconds):
        return await answer


def later(answer: asyncio.Future[str]) -> None:
    """Answer one round of the loop after its timers, as a socket does."""
    asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(answer.set_result, "here"))


async def test_who_does_not_answer_in_time_is_given_up(stand_still):
    asked = asyncio.ensure_future(waiting(asyncio.Future()))
    await asyncio.sleep(0)
    stand_still(5.01)
    with pytest.raises(TimeoutError):
        await asked


async def test_what_came_while_the_loop_stood_still_counts(stand_still):
    answer: asyncio.Future[str] = asyncio.Future()
    asked = asyncio.ensure_future(waiting(answer))
    await asyncio.sleep(0)
    stand_still(9.0)
    later(answer)
    assert await asked == "here"


async def test_the_moment_more_is_given_once(stand_still):
    asked = asyncio.ensure_future(waiting(asyncio.Future()))
    await asyncio.sleep(0)
    stand_still(9.0)
    await asyncio.sleep(0)
    stand_still(0.6)
    with pytest.raises(TimeoutError):
        await asked


async def test_an_answer_in_time_leaves_no_alarm_behind(stand_still):
    answer: asyncio.Future[str] = asyncio.Future()
    answer.set_result("here")
    assert await waiting(answer) == "here"
    stand_still(9.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
