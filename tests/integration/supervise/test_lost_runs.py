"""Runs whose process is gone although Dagster does not know: found by their silence, and freed of what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from support.clock import ManualClock
from support.empty_stores import put_empty_stores
from support.rig import Rig

from enrichment_dagster.resources import signs_of_life
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.runs import RunStore
from enrichment_dagster.supervise.prepare import fail_left_runs
from sensors.lost import PATIENCE, clear_lost_runs


@dg.job
def some_job() -> None:
    """Do nothing."""


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def rig(make_settings: Callable[[], Settings]) -> Iterator[Rig]:
    settings = make_settings()
    put_empty_stores(settings.home)
    found = Rig(settings.home, ManualClock())
    yield found
    found.close()


@pytest.fixture
def runs(rig: Rig) -> RunStore:
    return RunStore(rig.ops, rig.clock)


def a_run(instance: DagsterInstance, status: DagsterRunStatus) -> str:
    return instance.create_run_for_job(some_job, status=status).run_id


def status_of(instance: DagsterInstance, run_id: str) -> DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_silent_run_is_reported_as_failed(instance: DagsterInstance, rig: Rig, runs: RunStore) -> None:
    """Incident: a run outlived its code server, then died itself. Dagster called it started for a quarter of an hour,
    and two of them are all that a lane may have."""
    silent = a_run(instance, DagsterRunStatus.STARTED)
    runs.alive(silent)
    rig.clock.advance(PATIENCE.total_seconds() + 1)
    talking = a_run(instance, DagsterRunStatus.STARTED)
    runs.alive(talking)
    unheard = a_run(instance, DagsterRunStatus.STARTED)  # of somebody else's code, or not at our first line yet
    clear_lost_runs(instance, runs)
    assert status_of(instance, silent) is DagsterRunStatus.FAILURE
    assert status_of(instance, talking) is DagsterRunStatus.STARTED
    assert status_of(instance, unheard) is DagsterRunStatus.STARTED
    assert runs.silent(timedelta(seconds=-1)) == [talking], "its signs are forgotten"


def test_signs_of_runs_that_ended_are_swept(instance: DagsterInstance, rig: Rig, runs: RunStore) -> None:
    ended = a_run(instance, DagsterRunStatus.SUCCESS)
    for run_id in (ended, "deleted-long-ago"):
        runs.alive(run_id)
    rig.clock.advance(PATIENCE.total_seconds() + 1)
    clear_lost_runs(instance, runs)
    assert runs.silent(timedelta(seconds=-1)) == []
    assert status_of(instance, ended) is DagsterRunStatus.SUCCESS


async def test_deliveries_of_an_ended_run_are_freed_at_once(
    instance: DagsterInstance, rig: Rig, runs: RunStore
) -> None:
    """A delivery is leased for a minute: a lead must not wait for that when its run is known to be dead."""
    dead, alive = a_run(instance, DagsterRunStatus.FAILURE), a_run(instance, DagsterRunStatus.STARTED)
    await rig.conclude(await rig.leased(1, 2))
    (first,) = await rig.work.claim_deliveries(dead, work_ids=None, limit=1, lease_seconds=60)
    (second,) = await rig.work.claim_deliveries(alive, work_ids=None, limit=1, lease_seconds=60)
    assert await rig.work.claim_deliveries("other", work_ids=None, limit=9, lease_seconds=60) == []
    clear_lost_runs(instance, runs)
    claimed = await rig.work.claim_deliveries("other", work_ids=None, limit=9, lease_seconds=60)
    assert [entry.outbox_id for entry in claimed] == [first.outbox_id]
    assert second.outbox_id != first.outbox_id


def test_a_run_at_work_gives_signs_until_it_ends(rig: Rig, runs: RunStore) -> None:
    with signs_of_life(runs, "run-1", every_seconds=60):
        pass
    assert runs.silent(timedelta(seconds=-1)) == ["run-1"], "the last sign stays: whoever finds it old looks it up"


def test_a_busy_store_costs_a_sign_of_life_and_not_the_work(rig: Rig) -> None:
    class Busy(RunStore):
        def alive(self, run_id: str) -> None:
            raise OSError("database is locked")

    with signs_of_life(Busy(rig.ops, rig.clock), "run-1", every_seconds=60):
        done = True
    assert done


def test_runs_left_by_the_last_end_are_failed_before_anything_starts(instance: DagsterInstance) -> None:
    """After kill -9 of everything Dagster still has runs that it takes for alive."""
    left = [a_run(instance, status) for status in (DagsterRunStatus.STARTED, DagsterRunStatus.STARTING)]
    waiting = a_run(instance, DagsterRunStatus.NOT_STARTED)
    assert fail_left_runs(instance) == 2
    assert {status_of(instance, run_id) for run_id in left} == {DagsterRunStatus.FAILURE}
    assert status_of(instance, waiting) is DagsterRunStatus.NOT_STARTED, "it has not begun: it will"
