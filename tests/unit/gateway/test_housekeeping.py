"""What the gateway does beside requests: when it reports checks, when it calls the daemon dead."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs
from support.clock import START, ManualClock

from enrichment_dagster.engine.routing import RoutingCounts
from enrichment_dagster.gateway.housekeeping import CheckReporter, RoutingReporter, every, watch_daemon
from enrichment_dagster.monitoring.checks import Verdict


class Lane:
    """Checks whose verdicts the test sets, and what was reported of them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.passed = {"latency_target": True, "field_coverage": True}
        self.reported: list[tuple[str, bool]] = []
        self.samples = 5
        self.broken = False
        self.materialized: datetime | None = None
        self.reporter = CheckReporter(self.evaluate, self.report, self.clock, lambda _: self.materialized)

    def evaluate(self) -> dict[str, list[Verdict]]:
        return {
            "lead_created": [
                Verdict(name, passed, "", {"samples": self.samples}) for name, passed in self.passed.items()
            ]
        }

    def report(self, _event_type: str, verdict: Verdict) -> None:
        if self.broken:
            raise OSError("Dagster's storage is away")
        self.reported.append((verdict.check, verdict.passed))


@pytest.fixture
def lane() -> Lane:
    return Lane()


def test_the_first_evaluation_is_reported(lane: Lane) -> None:
    assert lane.reporter.step() == 2


def test_a_verdict_that_stays_is_repeated_every_ten_minutes_only(lane: Lane) -> None:
    """Dagster keeps every evaluation for ever: every 20 s would be 13 MB a day."""
    lane.reporter.step()
    counts = []
    for _ in range(90):  # half an hour
        lane.clock.advance(20)
        counts.append(lane.reporter.step())
    assert sum(counts) == 2 * 3


def test_a_change_is_reported_at_once_and_alone(lane: Lane) -> None:
    lane.reporter.step()
    lane.passed["latency_target"] = False
    lane.clock.advance(20)
    assert lane.reporter.step() == 1
    assert lane.reported[-1] == ("latency_target", False)
    lane.passed["latency_target"] = True
    lane.clock.advance(20)
    assert lane.reporter.step() == 1


def test_the_first_traffic_is_news(lane: Lane) -> None:
    """Who has just started the product should not read "no events" for ten minutes; more of the same is no news."""
    lane.samples = 0
    lane.reporter.step()
    lane.samples = 3
    lane.clock.advance(20)
    assert lane.reporter.step() == 2
    lane.samples = 4
    lane.clock.advance(20)
    assert lane.reporter.step() == 0


def test_after_a_materialization_checks_are_told_anew_once_a_minute_at_most(lane: Lane) -> None:
    """Dagster shows no result that is older than the asset's last materialization: a busy lane would show none."""
    lane.reporter.step()
    counts = []
    for _ in range(9):  # three minutes, a run all the time
        lane.clock.advance(20)
        lane.materialized = lane.clock.now()
        counts.append(lane.reporter.step())
    assert counts == [0, 0, 2] * 3


def test_without_a_materialization_since_nothing_is_told_anew(lane: Lane) -> None:
    lane.materialized = lane.clock.now() - timedelta(minutes=5)
    lane.reporter.step()
    lane.clock.advance(120)
    assert lane.reporter.step() == 0


def test_a_clock_that_is_put_back_stops_no_report(lane: Lane) -> None:
    lane.reporter.step()
    lane.clock.put_back(3_600)
    assert lane.reporter.step() == 2
    lane.clock.advance(20)
    assert lane.reporter.step() == 0


def test_what_could_not_be_reported_is_reported_next_time(lane: Lane) -> None:
    lane.broken = True
    with pytest.raises(OSError, match="storage is away"):
        lane.reporter.step()
    lane.broken = False
    assert lane.reporter.step() == 2


# --- the daemon ------------------------------------------------------------------------------------------------------


def said(ticks: list[datetime | None], seconds: float = 20.0) -> list[str]:
    """What is logged when the newest tick is looked up every ``seconds``."""
    clock = ManualClock()
    found = iter(ticks)
    step = watch_daemon(lambda: next(found), clock)
    with capture_logs() as logs:
        for _ in ticks:
            step()
            clock.advance(seconds)
    return [entry["event"] for entry in logs]


DEAD, ALIVE = "no sensor has ticked; events are safe but wait", "sensors tick again"


def test_ticks_that_come_are_not_worth_a_word() -> None:
    assert said([START + timedelta(seconds=20 * n - 4) for n in range(6)]) == []


def test_an_outage_is_said_once_and_its_end_too() -> None:
    """More than 30 s without a tick."""
    at = [START] * 5 + [START + timedelta(seconds=99)]
    assert said(at) == [DEAD, ALIVE]


def test_a_daemon_that_never_ticked_is_dead_as_well() -> None:
    """It was never started, or fails at its first look: nobody turns events into runs."""
    assert said([None, None]) == []
    assert said([None, None, None]) == [DEAD]


def test_a_tick_of_yesterday_is_no_outage_when_everything_has_just_started() -> None:
    yesterday = START - timedelta(days=1)
    assert said([yesterday, yesterday]) == []
    assert said([yesterday, yesterday, yesterday]) == [DEAD]


# --- the loop --------------------------------------------------------------------------------------------------------


class TwoRounds(ManualClock):
    """Ends the loop that sleeps by it after its second round."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == 2:
            raise asyncio.CancelledError


async def test_a_step_that_fails_is_logged_and_tried_again() -> None:
    """A store that is away for a while must not end housekeeping."""
    clock, calls = TwoRounds(), []

    def step() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("away")

    loop = every(20.0, "pump", step, clock)
    with capture_logs() as logs, suppress(asyncio.CancelledError):
        await loop()
    assert (len(calls), clock.slept) == (2, [20.0, 20.0])
    assert [entry["task"] for entry in logs] == [loop.__qualname__] == ["pump"]


# --- what was routed -------------------------------------------------------------------------------------------------


class Routed:
    """Counts to report, as the test sets them, and what was reported."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.waiting = 0
        self.reported: list[int] = []
        self.reporter = RoutingReporter(
            self.take, lambda counts: self.reported.append(counts.outcomes.total()), self.clock
        )

    def take(self) -> RoutingCounts:
        counts = RoutingCounts(Counter({"enriched": self.waiting}) if self.waiting else Counter())
        self.waiting = 0
        return counts


def test_all_that_was_routed_is_one_report_a_minute() -> None:
    """Dagster keeps every materialization for ever."""
    routed = Routed()
    for _ in range(15):  # five minutes
        routed.waiting += 7
        routed.reporter.step()
        routed.clock.advance(20)
    assert routed.reported == [7, 21, 21, 21, 21]


def test_without_traffic_nothing_is_reported_and_the_next_lead_at_once() -> None:
    routed = Routed()
    assert not routed.reporter.step()
    routed.clock.advance(20)
    routed.waiting = 1
    assert routed.reporter.step()


def test_a_clock_that_is_put_back_does_not_stop_what_is_told_of_routing() -> None:
    gateway = Routed()
    gateway.waiting = 1
    assert gateway.reporter.step()
    gateway.clock.put_back(3_600)
    gateway.clock.advance(60)
    gateway.waiting = 1
    assert gateway.reporter.step()
