"""A provider that succeeds too seldom is asked after the others, and earns its place back."""

from __future__ import annotations

import pytest
from support.protection import Desk, report

from enrichment_dagster.engine.protection import ProviderPolicy, SwitchPolicy, Verdict


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def demoted() -> Desk:
    """Demoted at time 0 with 17 of 20 calls answered."""
    desk = Desk()
    desk.ok(17)
    desk.fail(3)
    assert desk.standing.demoted
    return desk


@pytest.mark.parametrize(("failures", "demoted"), [(100, False), (101, True)])
def test_90_percent_is_enough_and_89_point_9_is_not(failures, demoted):
    desk = Desk(ProviderPolicy(switch=SwitchPolicy(min_calls=1_000)))
    desk.fail(failures)
    desk.ok(1_000 - failures)
    assert desk.standing.demoted is demoted
    assert (desk.standing.calls, desk.standing.failures) == (1_000, failures)


def test_19_calls_are_too_few(desk):
    desk.ok(16)
    desk.fail(3)
    assert not desk.standing.demoted
    desk.ok()  # the twentieth: 17 of 20
    assert desk.standing.demoted


@pytest.mark.parametrize(("seconds", "demoted"), [(299.9, True), (300.0, False)])
def test_failures_count_for_the_window(desk, seconds, demoted):
    desk.fail(3)
    desk.time = seconds
    desk.ok(17)
    assert desk.standing.demoted is demoted


def test_it_returns_after_three_answers_in_a_row_not_two(demoted):
    demoted.ok(2)
    assert demoted.standing.demoted
    demoted.ok()
    assert not demoted.standing.demoted


def test_a_failure_begins_the_row_anew(demoted):
    demoted.ok(2)
    demoted.fail()
    demoted.ok(2)
    assert demoted.standing.demoted
    demoted.ok()
    assert not demoted.standing.demoted


def test_what_says_nothing_of_the_providers_health_does_not_break_the_row(demoted):
    demoted.ok(2)
    demoted.hear(report(Verdict.NEUTRAL))
    demoted.ok()
    assert not demoted.standing.demoted


def test_calls_sent_before_the_switch_earn_nothing(demoted):
    """Dozens may be in flight when it falls, and three of them in a row are easily good."""
    demoted.time = 1.0
    demoted.ok(50, latency_ms=1_100)
    assert demoted.standing.demoted
    demoted.ok(3, latency_ms=900)
    assert not demoted.standing.demoted


def test_after_its_return_the_old_failures_are_forgotten(demoted):
    demoted.ok(3)
    assert (demoted.standing.calls, demoted.standing.failures) == (0, 0)
    demoted.fail(7)
    demoted.ok(12)
    assert not demoted.standing.demoted  # 19 calls


def test_it_stays_demoted_when_its_window_runs_empty(demoted):
    demoted.time = 10_000.0
    assert demoted.standing.demoted
    assert demoted.standing.calls == 0


def test_a_probe_is_due_15_seconds_after_the_last_call_not_14(demoted):
    demoted.time = 14.0
    assert not demoted.standing.probe_due
    demoted.time = 15.0
    assert demoted.standing.probe_due
    demoted.ask()
    assert not demoted.standing.probe_due
    demoted.time = 29.0
    assert not demoted.standing.probe_due
    demoted.time = 30.0
    assert demoted.standing.probe_due


def test_no_probe_is_due_of_a_provider_in_good_standing(desk):
    desk.ok(20)
    desk.time = 100.0
    assert not desk.standing.probe_due
