"""Six lanes share few runs: who goes first, and that nobody is left behind when all are busy."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from support.clock import START as NOW

from enrichment_dagster.domain.dispatch import (
    BatchState,
    Claim,
    DueGroup,
    LaneState,
    Policy,
    Rival,
    RunState,
    decide,
)

SECOND = timedelta(seconds=1)


def policy(target: float) -> Policy:
    return Policy.of(target_seconds=target, min_linger_seconds=5, at_once=2, per_minute=20, batch=500)


LEAD, VISIT, REPAIR = policy(60), policy(120), policy(3_600)
CLAIM = Claim("website_visit", 3, NOW - 30 * SECOND, queued=False, at_work=False, watched=True)


def waits(*rivals: Rival, mine: Policy = LEAD, seconds: float = 10, live: int = 1, minute: int = 0) -> str:
    due = DueGroup("2026-09-21", 500, 1, NOW - seconds * SECOND)
    return decide(LaneState((due,), (), live, minute, rivals), mine, NOW).why_waiting


class TestWhoGoesFirst:
    def test_the_last_free_run_goes_to_the_lane_whose_oldest_event_has_used_up_more_of_its_target(self):
        """30 s of two minutes is a quarter, 10 s of one minute a sixth."""
        assert waits(Rival(CLAIM, VISIT)).startswith("website_visit goes first")
        assert waits(Rival(CLAIM, VISIT), seconds=16) == ""
        assert waits(Rival(CLAIM, REPAIR)) == "", "an hour's target has all the time in the world"

    def test_with_two_free_runs_one_more_urgent_lane_is_no_hindrance(self):
        assert waits(Rival(CLAIM, VISIT), live=0) == ""
        assert waits(Rival(CLAIM, VISIT), Rival(replace(CLAIM, event_type="intent_signal"), VISIT), live=0) != ""

    def test_the_last_run_of_a_minute_is_shared_like_the_last_one_at_once(self):
        assert waits(Rival(CLAIM, VISIT), live=0, minute=19) != ""

    def test_of_lanes_whose_events_came_this_moment_the_tighter_target_goes_first(self):
        fresh = replace(CLAIM, oldest_due_at=NOW)
        assert waits(Rival(fresh, LEAD), mine=VISIT, seconds=0) != ""
        assert waits(Rival(fresh, VISIT), mine=LEAD, seconds=0) == ""

    @pytest.mark.parametrize(
        "unable",
        [
            replace(CLAIM, queued=True),
            replace(CLAIM, watched=False),
            replace(CLAIM, at_work=True, oldest_due_at=NOW - 11 * SECOND),
        ],
        ids=["its batch is queued", "its sensor is stopped", "its next batch gathers"],
    )
    def test_a_lane_that_takes_no_run_now_is_not_waited_for(self, unable):
        """Otherwise the run would stay unused."""
        assert waits(Rival(unable, VISIT), seconds=1) == ""

    def test_a_full_batch_is_wanted_at_once(self):
        full = replace(CLAIM, at_work=True, oldest_due_at=NOW - 11 * SECOND, count=500)
        assert waits(Rival(full, VISIT), seconds=1) != ""


# --- six busy lanes --------------------------------------------------------------------------------------------------

TARGETS = {"lead": 60.0, "contact": 120.0, "deal": 120.0, "visit": 120.0, "intent": 300.0, "repair": 3_600.0}
STEP = 0.5
START_SECONDS, WORK_SECONDS, EVENT_SECONDS = 2.0, 3.0, 0.02  # of a run: to its start, at work, for each event


@dataclass
class Machine:
    """Lanes with the shipped targets, and runs that take about as long as real ones."""

    rate: float  # events a second of each lane
    random: random.Random
    seconds: float = 0.0
    due: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in TARGETS})
    runs: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {name: [] for name in TARGETS})
    started: list[float] = field(default_factory=list)
    done: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in TARGETS})  # latencies

    @property
    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def at(self, seconds: float) -> datetime:
        return NOW + timedelta(seconds=seconds)

    def live(self) -> int:
        return sum(end > self.seconds for runs in self.runs.values() for _, end in runs)

    def batches(self, lane: str) -> list[BatchState]:
        return [
            BatchState(
                batch_id=f"{lane}{begun}",
                attempt=1,
                open_work=1,
                started=self.seconds >= begun + START_SECONDS,
                emitted_at=self.at(begun),
                lease_until=self.at(end + 30),
                run=RunState.RUNNING,
                run_since=self.now,
            )
            for begun, end in self.runs[lane]
            if end > self.seconds
        ]

    def rival(self, lane: str) -> Rival | None:
        due, batches = self.due[lane], self.batches(lane)
        if not due:
            return None
        queued = any(not batch.started for batch in batches)
        claim = Claim(lane, len(due), self.at(min(due)), queued, bool(batches), watched=True)
        return Rival(claim, policy(TARGETS[lane]))

    def tick(self, lane: str) -> None:
        due = self.due[lane]
        groups = [DueGroup("2026-09-21", 500, len(due), self.at(min(due)))] if due else []
        minute = sum(at > self.seconds - 60 for at in self.started)
        rivals = [found for name in TARGETS if name != lane and (found := self.rival(name))]
        state = LaneState(groups, self.batches(lane), self.live(), minute, rivals)
        if decide(state, policy(TARGETS[lane]), self.now).assign is None:
            return
        taken, self.due[lane] = due[:500], due[500:]
        end = self.seconds + START_SECONDS + WORK_SECONDS + EVENT_SECONDS * len(taken)
        self.runs[lane].append((self.seconds, end))
        self.started.append(self.seconds)
        self.done[lane] += [end - at for at in taken]

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            for lane in TARGETS:
                self.due[lane] += [self.seconds] * (self.random.random() < self.rate * STEP)
            lanes = list(TARGETS)
            self.random.shuffle(lanes)
            for lane in lanes:
                self.tick(lane)
            assert self.live() <= 2
            self.seconds += STEP


@pytest.mark.parametrize("seed", range(4))
def test_six_busy_lanes_keep_to_the_runs_and_all_stay_inside_their_targets(seed):
    """Events in all lanes all the time: 20 runs a minute and 2 at once for all together, for a quarter of an hour."""
    machine = Machine(rate=1.5, random=random.Random(seed))
    machine.pass_time(900)
    for minute in range(60, 900, 7):
        assert sum(minute - 60 < at <= minute for at in machine.started) <= 20
    for lane, target in TARGETS.items():
        waiting = [machine.seconds - at for at in machine.due[lane]]
        assert max(machine.done[lane] + waiting) < target, lane
    assert len(machine.started) > 200, "no run stays unused while events wait"


def test_an_import_does_not_keep_the_other_lanes_from_their_runs():
    machine = Machine(rate=0.3, random=random.Random(7))
    machine.due["lead"] = [0.0] * 5_000
    machine.pass_time(300)
    assert machine.due["lead"] == [] or min(machine.due["lead"]) > 0
    for lane in ("contact", "deal", "visit", "intent", "repair"):
        assert max(machine.done[lane]) < TARGETS[lane], lane
