"""The ``new_lead`` sensor's tick against a real Dagster instance and real stores: assign, re-emit, free, economise."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest
from support.builders import EMAIL
from support.dagster_lane import LANE, NEVER, OTHER, LaneRig, Status, batch_of

from assets.lanes import ATTEMPT_TAG, BATCH_TAG, LANE_TAG
from enrichment_dagster.store.dispatch import DispatchStore

# --- what a tick hands to Dagster ------------------------------------------------------------------------------------


def test_a_new_event_becomes_one_run_request(rig: LaneRig) -> None:
    """The run is told its batch; the day of receipt (UTC) is its partition."""
    (event,) = rig.arrive(1)
    request = rig.request()
    (batch,) = rig.batches()
    assert batch_of(request) == batch.batch_id
    assert request.run_key == f"{batch.batch_id}:1"
    assert request.partition_key == event.received_at.date().isoformat()
    assert request.tags[LANE_TAG] == "lead_created"
    assert request.tags["enrichment/event_id"] == event.event_id


def test_many_events_are_one_run_request(rig: LaneRig) -> None:
    """A burst must not become a burst of runs: Dagster starts 0.6 a second at most."""
    rig.arrive(*range(300))
    request = rig.request()
    assert request.tags["enrichment/events"] == "300"
    assert "enrichment/event_id" not in request.tags


def test_more_events_than_a_batch_may_hold_wait_for_the_next_run(rig: LaneRig) -> None:
    rig.with_policy(max_batch=2)
    rig.arrive(1, 2, 3)
    first = rig.request()
    rig.run(first)
    rig.clock.advance(6.1)
    assert (first.tags["enrichment/events"], rig.request().tags["enrichment/events"]) == ("2", "1")


def test_nothing_of_a_person_reaches_dagsters_storage(rig: LaneRig) -> None:
    """Run config and tags stay in Dagster's database: ids and counts only."""
    rig.arrive(1, attributes={"email": EMAIL, "firstname": "Jane", "company": "Acme"})
    request = rig.request()
    stored = f"{request.run_key} {request.run_config} {request.tags}".lower()
    assert not [word for word in (EMAIL, "jane", "acme") if word in stored]
    assert set(request.tags) == {
        *(LANE_TAG, BATCH_TAG, ATTEMPT_TAG),
        *("enrichment/events", "enrichment/oldest_seconds", "enrichment/event_id"),
    }


def test_two_days_in_one_backlog_become_two_batches(rig: LaneRig) -> None:
    """A batch never mixes days: its run has one partition. The older day goes first."""
    today = rig.clock.now()
    yesterday = today - timedelta(days=1)
    rig.arrive(1, 2, at=yesterday)
    rig.arrive(3)
    first = rig.request()
    rig.run(first)
    rig.clock.advance(6.1)
    second = rig.request()
    assert [first.partition_key, second.partition_key] == [day.date().isoformat() for day in (yesterday, today)]
    assert [first.tags["enrichment/events"], second.tags["enrichment/events"]] == ["2", "1"]


# --- a batch whose run is not there, or waits ------------------------------------------------------------------------


def test_a_batch_without_a_run_is_handed_over_again_under_the_same_key(rig: LaneRig) -> None:
    """Until Dagster shows the run, every tick repeats itself; the run key makes that free."""
    rig.arrive(1)
    first, second = rig.request(), rig.request()
    assert first.run_key == second.run_key
    assert len(rig.batches()) == 1


def test_a_tick_that_dies_after_its_assignment_loses_nothing(rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process was killed between the commit of the batch and the answer to the daemon."""
    rig.arrive(1, 2)
    original = DispatchStore.assign

    def assign_and_die(*arguments: object) -> None:
        original(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(DispatchStore, "assign", assign_and_die)
    with pytest.raises(KeyboardInterrupt):
        rig.requests()
    monkeypatch.undo()
    (batch,) = rig.batches()
    assert batch_of(rig.request()) == batch.batch_id


def test_a_tick_that_dies_while_it_retries_loses_nothing(rig: LaneRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new attempt is stored, its request never reached the daemon: the same attempt is handed over again."""
    rig.arrive(1)
    rig.instance.report_run_canceled(rig.submit(rig.request()))
    rig.clock.advance(2)
    original = DispatchStore.hand_over

    def hand_over_and_die(*arguments: object, **named: object) -> None:
        original(*arguments, **named)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(DispatchStore, "hand_over", hand_over_and_die)
    with pytest.raises(KeyboardInterrupt):
        rig.requests()
    monkeypatch.undo()
    assert [rig.request().tags[ATTEMPT_TAG], rig.request().tags[ATTEMPT_TAG]] == ["2", "2"]


@pytest.mark.parametrize("status", [Status.QUEUED, Status.NOT_STARTED, Status.STARTING])
def test_a_lane_emits_nothing_while_a_batch_of_its_own_has_not_started(rig: LaneRig, status: Status) -> None:
    rig.arrive(1)
    rig.submit(rig.request(), status)
    rig.arrive(2, 3)
    assert rig.why_waiting() == "a batch of this lane is queued or starting"


def test_a_queued_run_may_wait_for_hours(rig: LaneRig) -> None:
    """A full queue is no failure; another run request would only make it longer."""
    rig.arrive(1)
    run = rig.submit(rig.request())
    rig.clock.advance(3_600)
    assert rig.requests() == []
    assert rig.status(run) is Status.QUEUED


@pytest.mark.parametrize("end", ["report_run_failed", "report_run_canceled"])
def test_a_run_that_ended_before_it_started_is_replaced(rig: LaneRig, end: str) -> None:
    """Killed or cancelled while queued: the batch is intact, its next attempt gets a run key of its own."""
    rig.arrive(1)
    first = rig.request()
    getattr(rig.instance, end)(rig.submit(first))
    rig.clock.advance(2)
    second = rig.request()
    assert batch_of(second) == batch_of(first)
    assert second.run_key == f"{batch_of(first)}:2"


def test_a_run_that_hangs_in_its_start_is_failed_and_replaced(rig: LaneRig) -> None:
    """Its process died before it could say anything; in Dagster it would hold a slot for ever."""
    rig.arrive(1)
    run = rig.submit(rig.request(), Status.STARTING)
    rig.clock.advance(20)
    assert rig.requests() == []
    rig.clock.advance(30)  # Dagster's own stamp of the start is real time: a busy machine is seconds behind
    assert rig.request().tags[ATTEMPT_TAG] == "2"
    assert rig.status(run) is Status.FAILURE


# --- a batch whose run has started -----------------------------------------------------------------------------------


def test_a_run_at_work_is_left_alone(rig: LaneRig) -> None:
    rig.arrive(1)
    rig.run(rig.request())
    assert rig.why_waiting() == "nothing is due"


@pytest.mark.parametrize("end", ["report_run_failed", "report_run_canceled"])
def test_the_events_of_a_run_that_ended_midway_become_due_at_once(rig: LaneRig, end: str) -> None:
    """Dagster knows that the run is over: nobody has to wait for the lease. The next batch is smaller."""
    rig.arrive(*range(60))
    run, _ = rig.run(rig.request())
    getattr(rig.instance, end)(run)
    assert rig.requests() == []
    assert rig.states() == {"due": 60}
    assert rig.request().tags["enrichment/events"] == "50"


def test_a_run_that_was_killed_is_failed_when_its_lease_is_over(rig: LaneRig) -> None:
    """``kill -9``: Dagster still shows it as running, but it no longer renews its lease."""
    rig.arrive(1)
    first = rig.request()
    run, _ = rig.run(first)
    rig.clock.advance(29)
    assert rig.requests() == []
    assert rig.status(run) is Status.STARTED
    rig.clock.advance(2)
    assert rig.requests() == []
    assert rig.status(run) is Status.FAILURE
    assert batch_of(rig.request()) != batch_of(first)


def test_the_failed_runs_message_says_how_long_it_was_silent(rig: LaneRig) -> None:
    rig.arrive(1)
    run, _ = rig.run(rig.request())
    rig.clock.advance(31)
    rig.requests()
    messages = " ".join(entry.user_message or entry.message for entry in rig.instance.all_logs(run.run_id))
    assert "no sign of life for 31 s" in messages


def test_a_run_that_renews_its_lease_may_take_its_time(rig: LaneRig) -> None:
    rig.arrive(1)
    run, lease = rig.run(rig.request())
    for _ in range(10):
        rig.clock.advance(20)
        with rig.ops.write() as connection:
            rig.work._renew_one(connection, lease)
        assert rig.requests() == []
    assert rig.status(run) is Status.STARTED


def test_a_run_that_somebody_deleted_keeps_its_batch_until_its_lease_is_over(rig: LaneRig) -> None:
    """A run may be deleted from Dagster while its process works on."""
    rig.arrive(1)
    run, _ = rig.run(rig.request())
    rig.instance.delete_run(run.run_id)
    assert rig.requests() == []
    assert len(rig.batches()) == 1
    rig.clock.advance(31)
    assert rig.requests() == []
    assert rig.states() == {"due": 1}


def test_a_queued_run_that_somebody_deleted_is_asked_for_again(rig: LaneRig) -> None:
    rig.arrive(1)
    first = rig.request()
    rig.instance.delete_run(rig.submit(first).run_id)
    assert rig.request().run_key == first.run_key


def test_a_finished_batch_is_closed_and_never_emitted_again(rig: LaneRig) -> None:
    rig.arrive(1)
    run, lease = rig.run(rig.request())
    rig.finish(lease)
    rig.instance.report_run_failed(run)  # e.g. its write-back step failed: the outbox owes that, not the batch
    assert rig.why_waiting() == "nothing is due"
    assert rig.batches() == []
    assert rig.states() == {"done": 1}


# --- run economy -----------------------------------------------------------------------------------------------------


def test_while_a_run_is_at_work_the_next_batch_gathers(rig: LaneRig) -> None:
    """Lingering for a tenth of the target makes fewer and fuller runs."""
    rig.arrive(1)
    rig.run(rig.request())
    rig.arrive(2)
    rig.clock.advance(5.9)
    assert rig.why_waiting() == "a run is at work: the next batch gathers"
    rig.arrive(3)
    rig.clock.advance(0.2)
    assert rig.request().tags["enrichment/events"] == "2"


def test_a_full_batch_does_not_linger(rig: LaneRig) -> None:
    rig.with_policy(max_batch=3)
    rig.arrive(1)
    rig.run(rig.request())
    rig.arrive(2, 3, 4)
    assert rig.request().tags["enrichment/events"] == "3"


def test_runs_of_all_lanes_share_the_limit(rig: LaneRig) -> None:
    """Two runs keep two cores busy, whichever lanes they belong to."""
    for lane, status in (("website_visit", Status.STARTED), ("data_quality", Status.QUEUED)):
        other = dg.RunRequest(run_key=lane, tags={LANE_TAG: lane, BATCH_TAG: f"old-{lane}", ATTEMPT_TAG: "1"})
        rig.submit(other, status)
    rig.arrive(1)
    assert rig.why_waiting() == "2 runs are at work"


def test_a_batch_that_another_lane_has_just_handed_over_takes_its_slot(rig: LaneRig) -> None:
    """Dagster creates its run a moment later; until then two lanes would take the same slot."""
    rig.with_policy(max_runs_at_once=1)
    rig.arrive(1, event_type=OTHER.event_type)
    assert rig.ticker_of(OTHER).step(NEVER)[0]
    rig.arrive(2)
    assert rig.why_waiting() == "1 runs are at work"


def test_a_batch_whose_run_never_came_does_not_keep_its_slot(rig: LaneRig) -> None:
    """Somebody stopped that lane's sensor at a bad moment."""
    rig.with_policy(max_runs_at_once=1)
    rig.arrive(1, event_type=OTHER.event_type)
    assert rig.ticker_of(OTHER).step(NEVER)[0]
    rig.clock.advance(61)
    rig.arrive(2)
    assert rig.request()


@pytest.mark.parametrize("watched", [True, False])
def test_the_last_free_run_goes_to_the_lane_that_needs_it_more(rig: LaneRig, watched: bool) -> None:
    """Its oldest event has used up more of its target. A lane whose sensor is stopped is not waited for."""
    rig.with_policy(max_runs_at_once=1)
    rig.arrive(1, event_type=OTHER.event_type)
    rig.clock.advance(30)  # a quarter of two minutes
    rig.arrive(2)
    rig.clock.advance(12)  # a fifth of a minute
    if watched:
        rig.dispatch.beat(f"tick:{OTHER.event_type}")
        assert rig.why_waiting().startswith(f"{OTHER.event_type} goes first")
    else:
        assert rig.request()


def test_runs_that_ended_or_are_no_batch_runs_take_no_slot(rig: LaneRig) -> None:
    ended = dg.RunRequest(run_key="a", tags={LANE_TAG: LANE.event_type})
    for status in (Status.SUCCESS, Status.FAILURE, Status.CANCELED):
        rig.submit(ended, status)
    for _ in range(3):
        rig.submit(dg.RunRequest(run_key="b", tags={"dagster/backfill": "x"}), Status.STARTED)
    rig.arrive(1)
    assert rig.request()


def test_no_more_than_so_many_runs_are_started_in_a_minute(rig: LaneRig) -> None:
    """Short runs must not follow each other without a pause; the limit counts runs, whatever they came to."""
    rig.with_policy(max_runs_per_minute=3)
    for number in range(3):
        rig.submit(dg.RunRequest(run_key=str(number), tags={LANE_TAG: LANE.event_type}), Status.SUCCESS)
    rig.arrive(1)
    assert rig.why_waiting() == "3 runs were started in the last minute"
    rig.clock.advance(90)
    assert rig.request()


def test_a_clock_that_was_put_back_stops_no_lane(rig: LaneRig) -> None:
    """The runs of the minutes before are runs of the future now."""
    rig.with_policy(max_runs_per_minute=3)
    for number in range(3):
        rig.submit(dg.RunRequest(run_key=str(number), tags={LANE_TAG: LANE.event_type}), Status.SUCCESS)
    rig.clock.put_back(600)
    rig.arrive(1)
    assert rig.request()


def test_a_replay_of_a_day_does_not_use_up_the_lanes_runs(rig: LaneRig) -> None:
    """A run that replays a day makes batch after batch of its own; new leads must not wait for it."""
    rig.with_policy(max_runs_per_minute=3)
    day = rig.clock.now().date().isoformat()
    numbers = range(10, 16)
    rig.arrive(*numbers)
    rig.dispatch.pump()
    for _ in numbers:
        rig.dispatch.assign_day(LANE.event_type, day, refresh=False, limit=1, owner="replay")
    rig.arrive(1)
    rig.clock.advance(6.1)
    assert rig.request().tags["enrichment/events"] == "1"
