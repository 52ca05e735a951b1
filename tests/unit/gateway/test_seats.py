"""Several processes of the gateway: one does the housekeeping, and another one goes on when it is gone."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from support.clock import ManualClock

from enrichment_dagster.gateway.seats import hold_seat, in_one_process, is_taken, take, workers_check

HOLD = """
import sys, time
from pathlib import Path
from enrichment_dagster.gateway.seats import take
held = take(Path(sys.argv[1]))
assert held
print("taken", flush=True)
time.sleep(600)
"""


@pytest.fixture
def another(tmp_path):
    """Start a process that holds a file."""
    started = []

    def start(name):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path / name)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "taken\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


async def stopped(*tasks):
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_housekeeping_moves_on_when_its_holder_is_killed(tmp_path, another):
    clock, done = ManualClock(), []

    async def work():
        done.append(clock.monotonic())
        await asyncio.Event().wait()

    holder = another("housekeeping.lock")
    task = asyncio.create_task(in_one_process(tmp_path / "housekeeping.lock", [work], clock)())
    await clock.sleep(5)
    assert done == []
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    await clock.sleep(1.5)
    assert len(done) == 1
    await stopped(task)
    assert not is_taken(tmp_path / "housekeeping.lock")


async def test_health_says_how_many_processes_serve(tmp_path, another):
    clock = ManualClock()
    seat = asyncio.create_task(hold_seat(tmp_path, 1, clock)())
    second = another("worker-2.lock")
    await clock.sleep(0.1)
    check = workers_check(tmp_path, 3)
    assert ((await check()).ok, (await check()).detail) == (True, "2 of 3 run")
    second.kill()
    second.wait()
    assert (await check()).detail == "1 of 3 run"
    await stopped(seat)


def test_looking_does_not_take(tmp_path):
    assert not is_taken(tmp_path / "a.lock")
    held = take(tmp_path / "a.lock")
    assert held is not None
    held.release()
