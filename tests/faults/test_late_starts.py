"""A run that takes very long to start, on a machine that is short of processor time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from enrichment_dagster.domain.dispatch import BatchState, Decision, LaneState, Policy, RunState, decide

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
POLICY = Policy.of(target_seconds=60, min_linger_seconds=5, at_once=2, per_minute=20, batch=500)


def decision(*, owner: str, run: RunState, lease_left: float = 20) -> Decision:
    batch = BatchState(
        batch_id="b1",
        attempt=2,
        open_work=40,
        started=True,
        emitted_at=NOW - timedelta(seconds=60),
        lease_until=NOW + timedelta(seconds=lease_left),
        run=run,
        run_since=NOW - timedelta(seconds=1),
        run_id="run-2",
        owner=owner,
    )
    return decide(LaneState([], [batch], 1, 1), POLICY, NOW)


def test_a_run_that_was_given_up_and_works_after_all_keeps_its_batch() -> None:
    """In the soak, at load 27, a run took 22 s to start. A little more and it is given up, and still takes the lease.
    The second attempt then finds the batch taken and ends, which must not be read as the death of the batch's worker:
    the batch would be freed under the first run's hands, and its calls in flight be paid for again."""
    assert not decision(owner="run-1", run=RunState.ENDED).acts
    assert decision(owner="run-1", run=RunState.ENDED, lease_left=-1).release == ("b1",), "until it falls silent"


def test_the_end_of_the_run_that_has_the_batch_frees_it_at_once() -> None:
    assert decision(owner="run-2", run=RunState.ENDED).release == ("b1",)
