"""The tick's decision: what becomes of each open batch, and when a new one is made."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.clock import START as NOW

from enrichment_dagster.domain.dispatch import (
    MAX_CRASHES,
    STUCK_START,
    BatchState,
    Decision,
    DueGroup,
    LaneState,
    Policy,
    RunState,
    decide,
    split_size,
)

POLICY = Policy.of(target_seconds=60, min_linger_seconds=5, at_once=2, per_minute=20, batch=500)
SECOND = timedelta(seconds=1)
FRESH = BatchState("b1", 1, 10, started=False, emitted_at=NOW, lease_until=NOW - SECOND)
AT_WORK = replace(FRESH, started=True, lease_until=NOW + 20 * SECOND, run=RunState.RUNNING)
DUE = DueGroup("2026-09-21", 500, 3, NOW - SECOND)


def decided(*batches: BatchState, due: tuple[DueGroup, ...] = (), live: int = 0, minute: int = 0) -> Decision:
    return decide(LaneState(due, batches, live, minute), POLICY, NOW)


class TestEachBatch:
    def test_a_batch_without_a_run_is_handed_over_again(self):
        """A tick may die between storing the batch and telling Dagster of it."""
        assert decided(FRESH) == Decision(emit=("b1",), why_waiting="nothing is due")

    def test_a_batch_whose_events_are_all_done_is_closed_whatever_its_run_does(self):
        for run in RunState:
            assert decided(replace(FRESH, open_work=0, run=run)).finish == ("b1",)

    def test_a_queued_run_is_left_alone_for_as_long_as_it_takes(self):
        queued = replace(FRESH, run=RunState.QUEUED, emitted_at=NOW - timedelta(hours=3), run_since=None)
        assert not decided(queued).acts

    def test_a_run_at_work_is_left_alone(self):
        assert not decided(AT_WORK).acts

    def test_events_of_a_run_that_crashed_after_its_start_become_due_at_once(self):
        """Dagster knows that the run ended; waiting for the lease to expire would only cost 30 s."""
        assert decided(replace(AT_WORK, run=RunState.ENDED)).release == ("b1",)

    def test_a_running_run_that_stopped_renewing_its_lease_is_declared_dead(self):
        found = decided(replace(AT_WORK, lease_until=NOW - SECOND))
        assert (found.fail_runs, found.release) == (("b1",), ("b1",))

    def test_a_started_batch_whose_run_was_deleted_is_freed_when_its_lease_ends(self):
        assert not decided(replace(AT_WORK, run=RunState.UNKNOWN)).acts
        assert decided(replace(AT_WORK, run=RunState.UNKNOWN, lease_until=NOW)).release == ("b1",)

    @pytest.mark.parametrize(("attempt", "seconds"), [(1, 1), (2, 2), (4, 8), (7, 60), (40, 60)])
    def test_a_run_that_ended_before_its_start_is_retried_ever_more_patiently(self, attempt, seconds):
        ended = replace(FRESH, attempt=attempt, run=RunState.ENDED)
        early = replace(ended, emitted_at=NOW - (seconds - 0.1) * SECOND)
        late = replace(ended, emitted_at=NOW - seconds * SECOND)
        assert decided(early).retry == ()
        assert decided(late).retry == ("b1",)

    @pytest.mark.parametrize("run", [RunState.STARTING, RunState.RUNNING])
    def test_a_start_that_takes_too_long_is_declared_dead_and_tried_again(self, run):
        stuck = replace(FRESH, run=run, run_since=NOW - STUCK_START)
        assert not decided(stuck).acts
        found = decided(replace(stuck, run_since=NOW - STUCK_START - SECOND))
        assert (found.fail_runs, found.retry) == (("b1",), ("b1",))


class TestNewBatch:
    def test_a_quiet_lane_hands_over_what_is_due_at_once(self):
        assert decided(due=(DUE,)).assign == DUE

    def test_the_oldest_day_goes_first(self):
        """Midnight: yesterday's last events must not wait for today's stream."""
        yesterday = replace(DUE, day="2026-09-20", oldest_due_at=NOW - 30 * SECOND)
        assert decided(due=(DUE, yesterday)).assign == yesterday

    @pytest.mark.parametrize(
        "unstarted",
        [
            FRESH,
            replace(FRESH, run=RunState.QUEUED),
            replace(FRESH, run=RunState.STARTING, run_since=NOW),
            replace(FRESH, run=RunState.ENDED, emitted_at=NOW - 60 * SECOND),
            replace(FRESH, run=RunState.STARTING, run_since=NOW - timedelta(minutes=5)),
        ],
    )
    def test_nothing_is_assigned_while_a_batch_of_the_lane_is_unstarted(self, unstarted):
        found = decided(unstarted, due=(replace(DUE, count=500),))
        assert found.assign is None
        assert found.why_waiting == "a batch of this lane is queued or starting"

    def test_while_a_run_is_at_work_the_next_batch_gathers(self):
        found = decided(AT_WORK, due=(DUE,), live=1)
        assert found.assign is None
        assert "gathers" in found.why_waiting

    def test_after_the_linger_the_next_batch_goes_even_if_it_is_small(self):
        old = replace(DUE, oldest_due_at=NOW - POLICY.linger)
        assert decided(AT_WORK, due=(old,), live=1).assign == old

    @pytest.mark.parametrize(("size", "count"), [(500, 500), (50, 50), (1, 1)])
    def test_a_full_batch_does_not_linger(self, size, count):
        full = DueGroup(DUE.day, size, count, NOW)
        assert decided(AT_WORK, due=(full,), live=1).assign == full

    def test_a_batch_that_is_just_being_freed_does_not_make_the_lane_busy(self):
        assert decided(replace(AT_WORK, run=RunState.ENDED), due=(DUE,)).assign == DUE

    def test_no_more_runs_at_once_than_allowed(self):
        assert decided(due=(DUE,), live=1).assign == DUE
        assert decided(due=(DUE,), live=2).why_waiting == "2 runs are at work"

    def test_no_more_runs_a_minute_than_allowed(self):
        assert decided(due=(DUE,), minute=19).assign == DUE
        assert decided(due=(DUE,), minute=20).why_waiting == "20 runs were started in the last minute"

    def test_the_linger_is_a_tenth_of_the_target_but_not_below_the_minimum(self):
        short = Policy.of(target_seconds=30, min_linger_seconds=5, at_once=1, per_minute=1, batch=1)
        assert POLICY.linger == timedelta(seconds=6)
        assert short.linger == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("crashes", "max_batch", "size"),
    [(0, 500, 500), (0, 5_000, 5_000), (1, 500, 50), (1, 20, 20), (2, 500, 1), (MAX_CRASHES + 3, 500, 1), (0, 1, 1)],
)
def test_events_that_workers_died_with_travel_in_smaller_company(crashes, max_batch, size):
    assert split_size(crashes, max_batch) == size
