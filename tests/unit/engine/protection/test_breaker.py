"""A provider that fails is left alone for a while, then tried with one call."""

from __future__ import annotations

import pytest
from support.protection import NOW, Desk, report, throttled

from enrichment_dagster.engine.protection import (
    Admitted,
    BreakerPolicy,
    Denied,
    ProviderPolicy,
    ProviderState,
    Verdict,
)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def opened() -> Desk:
    """Opened at time 0: eight failures in a row."""
    desk = Desk()
    desk.fail(8)
    return desk


def test_seven_failures_in_a_row_leave_it_closed_and_the_eighth_opens_it(desk):
    desk.fail(7)
    assert desk.standing.breaker == "closed"
    desk.fail()
    assert desk.standing.breaker == "open"
    assert desk.ask() == Denied("breaker_open", NOW + 15)


def test_an_answer_between_failures_breaks_the_row(desk):
    for _ in range(4):
        desk.fail(7)
        desk.ok()
        desk.time += 61  # so that the share of failures has no say
    assert desk.standing.breaker == "closed"


def test_half_of_the_calls_failing_opens_it(desk):
    for _ in range(4):
        desk.ok()
        desk.fail()
    desk.ok()
    assert desk.standing.breaker == "closed"
    desk.fail()  # the tenth call, the fifth failure
    assert desk.standing.breaker == "open"


def test_less_than_half_leaves_it_closed(desk):
    for _ in range(100):
        desk.ok(2)
        desk.fail()
    assert desk.standing.breaker == "closed"


def test_under_the_minimum_sample_even_a_larger_share_decides_nothing(desk):
    desk.ok()
    for _ in range(2):
        desk.fail(3)
        desk.hear(report(Verdict.NEUTRAL))
    desk.ok()
    desk.fail()
    assert desk.standing.breaker == "closed"  # 7 of 9 failed
    desk.fail()
    assert desk.standing.breaker == "open"


@pytest.mark.parametrize(("seconds", "breaker"), [(59.9, "open"), (60.0, "closed")])
def test_failures_count_for_the_window(desk, seconds, breaker):
    desk.fail(5)
    desk.ok()
    desk.time = seconds
    desk.ok(4)
    assert desk.standing.breaker == breaker


def test_fast_failures_count_like_slow_ones(desk):
    desk.fail(4, latency_ms=1)
    desk.fail(4, latency_ms=9_000)
    assert desk.standing.breaker == "open"


def test_what_says_nothing_of_the_providers_health_neither_opens_it_nor_breaks_the_row(desk):
    desk.hear(*[report(Verdict.NEUTRAL)] * 100, *[throttled()] * 100)
    assert desk.standing.breaker == "closed"
    desk.fail(7)
    desk.hear(report(Verdict.NEUTRAL))
    desk.fail()
    assert desk.standing.breaker == "open"


class TestRefusalsAreQuickerThanAnswers:
    """Of calls that are sent together those that fail end first, be they few."""

    @pytest.fixture
    def patient(self) -> Desk:
        return Desk(ProviderPolicy())

    def test_failures_before_the_answers_open_nothing(self, patient):
        patient.fail(100)
        patient.time = 0.05
        patient.ok(400, latency_ms=50)
        patient.time = 5.0
        patient.fail(7)
        assert patient.standing.breaker == "closed"

    def test_it_opens_when_that_goes_on_for_a_second(self, patient):
        patient.fail(100)
        patient.time = 0.99
        patient.fail(100)
        assert patient.standing.breaker == "closed"
        patient.time = 1.0
        patient.fail()
        assert patient.standing.breaker == "open"

    def test_it_waits_for_as_long_as_slow_answers_take(self, patient):
        patient.ok(20, latency_ms=3_000)
        patient.fail(20)
        patient.time = 2.5
        patient.fail(20)
        assert patient.standing.breaker == "closed"
        patient.time = 4.0
        patient.fail()
        assert patient.standing.breaker == "open"

    def test_but_not_for_a_minute(self, patient):
        patient.ok(20, latency_ms=60_000)
        patient.fail(20)
        patient.time = 10.0
        patient.fail()
        assert patient.standing.breaker == "open"

    def test_an_answer_meanwhile_lets_it_begin_anew(self, patient):
        patient.ok(20)
        patient.fail(8)
        patient.time = 0.9
        patient.ok()
        patient.fail(8)
        patient.time = 1.5
        patient.fail()
        assert patient.standing.breaker == "closed"
        patient.time = 1.9
        patient.fail()
        assert patient.standing.breaker == "open"

    def test_all_processes_know_since_when(self, patient):
        patient.fail(8)
        other = Desk(patient.policy, ProviderState.from_json(patient.state.to_json()), time=1.0)
        other.fail()
        assert other.standing.breaker == "open"


def test_it_is_open_for_15_seconds_not_14(opened):
    opened.time = 14.0
    assert opened.standing.breaker == "open"
    assert opened.ask() == Denied("breaker_open", NOW + 15)
    opened.time = 15.0
    assert opened.standing.breaker == "half_open"
    assert opened.ask() == Admitted(NOW + 15)


def test_half_open_admits_one_probe_and_nobody_else(opened):
    opened.time = 15.0
    opened.ask()
    assert opened.ask() == Denied("breaker_open", NOW + 16)
    opened.time = 44.5
    assert opened.ask() == Denied("breaker_open", NOW + 45)


def test_a_probe_whose_process_was_killed_blocks_for_30_seconds(opened):
    opened.time = 15.0
    opened.ask()
    opened.time = 44.9
    assert isinstance(opened.ask(), Denied)
    opened.time = 45.0
    assert isinstance(opened.ask(), Admitted)
    assert isinstance(opened.ask(), Denied)


def test_the_lease_of_a_probe_runs_from_its_sending(opened):
    opened.hear(throttled(retry_after=60))
    opened.time = 15.0
    assert opened.ask() == Admitted(NOW + 60)
    opened.time = 89.0
    assert isinstance(opened.ask(), Denied)
    opened.time = 90.0
    assert isinstance(opened.ask(), Admitted)


def test_a_probe_that_the_rate_limit_refuses_is_not_taken(opened):
    opened.hear(throttled(retry_after=60))
    opened.time = 15.0
    assert opened.ask(patience=3) == Denied("rate_limited", NOW + 60)
    opened.time = 60.0
    assert isinstance(opened.ask(), Admitted)


def test_a_probe_that_succeeds_closes_it_with_a_clean_window(opened):
    opened.time = 15.0
    opened.ask()
    opened.ok()
    assert opened.standing.breaker == "closed"
    opened.fail(7)
    assert opened.standing.breaker == "closed"
    opened.fail()
    assert opened.ask() == Denied("breaker_open", NOW + 30)  # the time is the first one again


def test_every_failed_probe_doubles_the_time_up_to_its_limit(opened):
    times = []
    for _ in range(7):
        decision = opened.ask()
        assert isinstance(decision, Denied)
        times.append(decision.retry_at - NOW - opened.time)
        opened.time = decision.retry_at - NOW
        assert isinstance(opened.ask(), Admitted)
        opened.fail()
    assert times == [15, 30, 60, 120, 240, 300, 300]


def test_a_probe_that_says_nothing_leaves_it_half_open(opened):
    opened.time = 15.0
    opened.ask()
    opened.hear(report(Verdict.NEUTRAL))
    assert opened.standing.breaker == "half_open"


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.FAILURE])
def test_late_results_of_calls_from_before_it_opened_decide_nothing(opened, verdict):
    before = opened.ask()
    opened.time = 5.0
    opened.hear(report(verdict, latency_ms=6_000))
    assert opened.ask() == before
    opened.time = 16.0
    opened.ask()
    opened.hear(report(verdict, latency_ms=16_500))
    assert opened.standing.breaker == "half_open"
    assert isinstance(opened.ask(), Denied)


def test_its_numbers_are_the_policys():
    desk = Desk(
        ProviderPolicy(breaker=BreakerPolicy(consecutive_failures=2, min_seconds=0, open_seconds=1, max_open_seconds=1))
    )
    desk.fail(2)
    assert desk.ask() == Denied("breaker_open", NOW + 1)
    desk.time = 1.0
    desk.fail()
    assert desk.ask() == Denied("breaker_open", NOW + 2)
