"""Whatever the state of a lane, some things never happen."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from support.clock import START as NOW

from enrichment_dagster.domain.dispatch import BatchState, DueGroup, LaneState, Policy, RunState, decide

moments = st.integers(-400, 60).map(lambda seconds: NOW + timedelta(seconds=seconds))
batches = st.builds(
    BatchState,
    batch_id=st.integers(0, 10**6).map(lambda n: f"b{n}"),
    attempt=st.integers(1, 12),
    open_work=st.integers(0, 3),
    started=st.booleans(),
    emitted_at=moments,
    lease_until=moments,
    run=st.sampled_from(list(RunState)),
    run_since=st.none() | moments,
)
groups = st.builds(
    DueGroup,
    day=st.sampled_from(["2026-09-20", "2026-09-21"]),
    max_size=st.sampled_from([500, 50, 1]),
    count=st.integers(1, 900),
    oldest_due_at=moments,
)
states = st.builds(
    LaneState,
    due=st.lists(groups, max_size=4),
    batches=st.lists(batches, max_size=5, unique_by=lambda batch: batch.batch_id),
    live_runs=st.integers(0, 4),
    runs_last_minute=st.integers(0, 25),
)
POLICY = Policy.of(target_seconds=60, min_linger_seconds=5, at_once=2, per_minute=20, batch=500)


@given(states)
def test_nothing_is_assigned_while_a_batch_of_the_lane_is_unstarted(state):
    decision = decide(state, POLICY, NOW)
    gone = {*decision.finish, *decision.release}
    if any(not batch.started and batch.batch_id not in gone for batch in state.batches):
        assert decision.assign is None


@given(states)
def test_a_batch_with_a_live_lease_and_a_live_run_is_never_freed_nor_its_run_failed(state):
    decision = decide(state, POLICY, NOW)
    for batch in state.batches:
        live_run = batch.run in {RunState.QUEUED, RunState.STARTING, RunState.RUNNING}
        if batch.open_work and batch.started and batch.lease_until > NOW and live_run:
            assert batch.batch_id not in {*decision.release, *decision.fail_runs, *decision.retry, *decision.emit}


@given(states)
def test_every_batch_has_at_most_one_fate(state):
    decision = decide(state, POLICY, NOW)
    fates = [*decision.finish, *decision.release, *decision.retry, *decision.emit]
    assert len(fates) == len(set(fates))
    assert set(decision.fail_runs) <= {*decision.release, *decision.retry}


@given(states)
def test_started_events_are_never_handed_over_under_the_same_attempt(state):
    """Their run exists or existed: its key would be recognised and the batch forgotten."""
    started = {batch.batch_id for batch in state.batches if batch.started}
    assert not started & set(decide(state, POLICY, NOW).emit)


@given(states)
def test_run_limits_hold_and_what_is_assigned_was_due(state):
    decision = decide(state, POLICY, NOW)
    if decision.assign is not None:
        assert state.live_runs < POLICY.max_runs_at_once
        assert state.runs_last_minute < POLICY.max_runs_per_minute
        assert decision.assign in state.due
    else:
        assert decision.why_waiting


@given(states)
def test_the_decision_is_pure(state):
    before = deepcopy(state)
    assert decide(state, POLICY, NOW) == decide(state, POLICY, NOW)
    assert state == before
