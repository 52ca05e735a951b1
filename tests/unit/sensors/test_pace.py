"""How long a tick watches, polls and gathers: a store in memory, a clock moved by its own sleeping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from support.clock import START, ManualClock

from assets.lanes import LANES, Lane
from enrichment_dagster.domain.dispatch import BatchState, Claim, DueGroup, Policy
from enrichment_dagster.ports import BatchHandOver, Glance
from sensors.board import Board
from sensors.lane import Pace, Ticker

LEAD, RELAXED = LANES[0], LANES[1]
POLICY = Policy(max_runs_at_once=2, max_runs_per_minute=20, linger=timedelta(seconds=6), max_batch=500)
PACE = Pace()
DAY = START.date().isoformat()


@dataclass
class Inbox:
    """``arrivals``: when (seconds from the start) an event comes in. ``pump_seconds``: what a look costs."""

    clock: ManualClock
    arrivals: list[float] = field(default_factory=list)
    batches: list[BatchState] = field(default_factory=list)
    pumped_by_gateway: bool = False
    max_size: int = 500
    looks: int = 0
    glances: int = 0
    pumped: float = -1.0  # what came until then is work
    beats: dict[str, datetime] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return (self.clock.now() - START).total_seconds()

    @property
    def arrived(self) -> list[float]:
        return [at for at in self.arrivals if at <= self.seconds]

    @property
    def due(self) -> list[float]:
        return [at for at in self.arrived if self.pumped_by_gateway or at <= self.pumped]

    def glance(self, event_types: Sequence[str]) -> Glance:
        self.glances += 1
        due = {event_types[0]: START + timedelta(seconds=min(self.due))} if self.due else {}
        return Glance(len(self.arrived) - len(self.due), due)

    def pump(self) -> int:
        self.pumped = self.seconds
        return 0

    def claims(self, _patience: Any) -> list[Claim]:
        return []

    def unstarted_batches(self, _event_types: Any, _since: Any) -> list[BatchState]:
        return []

    def due_groups(self, _event_type: str, _max_batch: int) -> list[DueGroup]:
        self.looks += 1
        due = self.due
        return [DueGroup(DAY, self.max_size, len(due), START + timedelta(seconds=min(due)))] if due else []

    def open_batches(self, _event_type: str) -> list[BatchState]:
        return self.batches

    def oldest_due_age(self, _event_type: str) -> timedelta:
        return timedelta(seconds=self.seconds - min(self.due) + 0.001) if self.due else timedelta()

    def hand_over(self, _ids: Any, **_named: Any) -> list[BatchHandOver]:
        return []

    def assign(self, event_type: str, group: DueGroup, _max_batch: int) -> BatchHandOver:
        return BatchHandOver("b1", event_type, group.day, 1, len(self.arrived), START, "")

    def beat(self, name: str, **_detail: Any) -> None:
        self.beats[name] = self.clock.now()

    def last_beat(self, name: str) -> datetime | None:
        return self.beats.get(name)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def tick(clock: ManualClock) -> Callable[..., tuple[dg.SensorResult, float]]:
    """Run one tick; returns its answer and how long it blocked."""

    def run(inbox: Inbox, live_runs: int = 0, lane: Lane = LEAD) -> tuple[dg.SensorResult, float]:
        instance: Any = SimpleNamespace(get_runs_count=lambda _: live_runs, get_run_records=lambda *_, **__: [])
        store: Any = inbox
        board = Board(store, [lane.event_type], clock)
        pace = Pace.of(lane.every)
        ticker = Ticker(lane, {lane.event_type: POLICY}, store, instance, clock, board, pace, sleep=clock.advance)
        return ticker.watch(), inbox.seconds

    return run


def events(result: dg.SensorResult) -> int:
    (request,) = result.run_requests or []
    return int(request.tags["enrichment/events"])


def test_a_tick_without_work_blocks_for_four_seconds_and_no_longer(clock, tick) -> None:
    """The daemon comes round every five: a longer tick would hold a thread of the code server."""
    result, blocked = tick(Inbox(clock))
    assert blocked == pytest.approx(PACE.watch)
    assert blocked <= 4.0
    assert str(result.skip_reason.skip_message) == "nothing is due"


def test_a_relaxed_lane_ticks_seldom_and_watches_longer(clock, tick) -> None:
    """A tick costs a tenth of a second of processor time, waiting costs none; a stop waits for what watches."""
    _, blocked = tick(Inbox(clock), lane=RELAXED)
    assert blocked == pytest.approx(9)
    assert blocked < RELAXED.every.total_seconds()


@pytest.mark.parametrize("pumped_by_gateway", [False, True])
def test_an_event_that_comes_in_during_the_tick_is_seen_at_once(clock, tick, pumped_by_gateway) -> None:
    """Also one that the gateway's pump has turned into due work before the tick could see it in the journal."""
    result, blocked = tick(Inbox(clock, [1.23], pumped_by_gateway=pumped_by_gateway))
    assert events(result) == 1
    assert blocked <= 1.23 + PACE.idle_poll + PACE.gather + 1e-6


def test_the_first_event_of_a_burst_waits_for_the_others(clock, tick) -> None:
    """Alone it would take a run to itself, and the rest of its burst would linger behind it."""
    result, blocked = tick(Inbox(clock, [0, 0.05, 0.1, 0.2, 0.3]))
    assert events(result) == 5
    assert blocked < 0.7


def test_a_lone_event_pays_an_eighth_of_a_second_for_that(clock, tick) -> None:
    result, blocked = tick(Inbox(clock, [0]))
    assert events(result) == 1
    assert blocked == pytest.approx(PACE.gather)


def test_a_burst_without_an_end_is_cut_off(clock, tick) -> None:
    """An import of thousands must not wait for its last row."""
    _, blocked = tick(Inbox(clock, [number / 100 for number in range(400)]))
    assert blocked <= PACE.max_gather + PACE.gather + 1e-6


def test_gathering_does_not_outlast_the_tick(clock, tick) -> None:
    """A burst that begins in the tick's last moment: both waits together stay within the four seconds."""
    _, blocked = tick(Inbox(clock, [3.85 + number / 20 for number in range(60)]))
    assert blocked <= PACE.watch + PACE.gather + 1e-6


def test_a_full_batch_does_not_gather(clock, tick) -> None:
    _, blocked = tick(Inbox(clock, [0.0] * 500))
    assert blocked == 0


def test_an_event_that_is_alone_because_workers_died_with_it_does_not_gather(clock, tick) -> None:
    _, blocked = tick(Inbox(clock, [0.0, 0.0], max_size=1))
    assert blocked == 0


def test_a_busy_lane_looks_a_few_times_a_second_at_most(clock, tick) -> None:
    """Each look asks Dagster's database; two runs are at work, nothing may be handed over."""
    inbox = Inbox(clock, [0])
    result, blocked = tick(inbox, live_runs=2)
    told = str(result.skip_reason.skip_message)
    assert told == "2 runs are at work; events that wait: 1, the oldest for 4 s of 60 s"
    assert blocked == pytest.approx(PACE.watch)
    assert inbox.looks <= PACE.watch / PACE.busy_poll + 3


def test_every_tick_notes_that_the_daemon_is_alive(clock, tick) -> None:
    inbox = Inbox(clock)
    tick(inbox)
    assert inbox.beats["tick:lead_created"] == START


def test_the_sign_of_life_of_an_idle_lane_carries_no_numbers(clock, tick) -> None:
    """Dagster plots numbers: zeros between batches would drown what the batches say."""
    result, _ = tick(Inbox(clock))
    (beat,) = result.asset_events
    assert set(beat.metadata) == {"heartbeat"}
    again, _ = tick(Inbox(clock, beats={"fresh:lead_created": clock.now()}))
    assert list(again.asset_events) == []
