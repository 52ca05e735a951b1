"""Calls of all processes are spaced, and limits that are no rate hold as well."""

from __future__ import annotations

import pytest
from support.protection import NOW, Desk

from enrichment_dagster.engine.protection import Admitted, Denied, ProviderPolicy


def test_without_a_rate_calls_are_sent_at_once():
    assert Desk().send_times(1_000) == [0.0] * 1_000


def test_a_burst_is_sent_at_once_and_the_next_calls_in_their_turn():
    assert Desk(ProviderPolicy(per_second=2, burst=3)).send_times(6) == [0, 0, 0, 0.5, 1.0, 1.5]


def test_a_burst_of_one_spaces_every_call():
    assert Desk(ProviderPolicy(per_second=4, burst=1)).send_times(4) == [0, 0.25, 0.5, 0.75]


def test_the_bucket_fills_again_with_time():
    desk = Desk(ProviderPolicy(per_second=2, burst=3))
    desk.send_times(3)
    desk.time = 1.0
    assert desk.send_times(3) == [0, 0, 0.5]
    desk.time = 100.0
    assert desk.send_times(4) == [0, 0, 0, 0.5]


def test_a_slot_after_the_last_moment_is_refused_and_not_taken():
    desk = Desk(ProviderPolicy(per_second=2, burst=1))
    desk.ask()
    assert desk.ask(patience=0.49) == Denied("rate_limited", NOW + 0.5)
    assert desk.ask(patience=0.5) == Admitted(NOW + 0.5)
    assert desk.ask(patience=0.5) == Denied("rate_limited", NOW + 1.0)


@pytest.mark.parametrize("in_flight", [5, 6])
def test_at_its_concurrency_a_provider_gets_no_further_call(in_flight):
    desk = Desk(ProviderPolicy(concurrency=5))
    assert isinstance(desk.ask(in_flight=4), Admitted)
    assert desk.ask(in_flight=in_flight) == Denied("concurrency", NOW + 0.05)


def test_the_calls_of_a_life_are_counted_when_admitted_and_then_never_again():
    desk = Desk(ProviderPolicy(lifetime_calls=3))
    desk.send_times(3)
    desk.time = 1e9
    assert desk.ask() == Denied("lifetime_cap", None)
    assert desk.standing.lifetime_calls == 3


def test_refused_calls_do_not_count_for_life():
    desk = Desk(ProviderPolicy(lifetime_calls=3, concurrency=1, per_second=1, burst=1))
    desk.ask(in_flight=1)
    desk.ask()
    desk.ask(patience=0.5)
    assert desk.standing.lifetime_calls == 1


def test_what_waiting_does_not_cure_is_said_first():
    desk = Desk(ProviderPolicy(lifetime_calls=0, concurrency=0))
    desk.fail(8)
    assert desk.ask(in_flight=9) == Denied("lifetime_cap", None)


@pytest.mark.parametrize("wrong", [{"per_second": 0.0}, {"per_second": -1.0}, {"burst": 0}])
def test_a_policy_under_which_no_call_could_be_sent_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        ProviderPolicy(**wrong)
