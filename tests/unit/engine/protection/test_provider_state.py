"""The state as one JSON document, and what a clock that was put back does to it."""

from __future__ import annotations

import json

import pytest
from support.protection import NOW, Desk, report, throttled

from enrichment_dagster.engine.protection import Admitted, Denied, ProviderPolicy, ProviderState, Quota


def lived_in() -> Desk:
    desk = Desk(ProviderPolicy(per_second=5, burst=2))
    desk.send_times(5)
    desk.ok(30, latency_ms=120)
    desk.ok(3, latency_ms=900, purpose="company")
    desk.fail(7)
    desk.hear(throttled(5.0, Quota(100, 3, 10.0, 2.0)))
    assert desk.standing.demoted
    return desk


def test_a_fresh_provider_admits_and_is_in_good_standing():
    desk = Desk()
    assert desk.ask() == Admitted(NOW)
    assert (desk.standing.breaker, desk.standing.demoted, desk.standing.lifetime_calls) == ("closed", False, 1)


def test_a_state_comes_back_from_json_as_it_was():
    state = lived_in().state
    assert ProviderState.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_the_document_is_small():
    desk = lived_in()
    for second in range(400):
        desk.time = float(second)
        desk.ok(3, latency_ms=second * 10)
        desk.ok(3, latency_ms=second * 20, purpose="company")
    assert len(json.dumps(desk.state.to_json())) < 1_500


@pytest.mark.parametrize("raw", [None, {}, [], "x", 3, {"v": 1}, {"v": 1, "news": {"a": 1}}, {"v": 2}, {"v": None}])
def test_nothing_and_what_is_no_state_make_a_fresh_one(raw):
    assert ProviderState.from_json(raw) == ProviderState()


GARBAGE = [
    "x",
    "12345",
    -1,
    True,
    float("nan"),
    float("inf"),
    10**400,
    [],
    [1],
    [None] * 5,
    {},
    {"a": 1},
    [[], 1, 2, 3],
]


@pytest.mark.parametrize("part", ["at", "calls", "rate", "breaker", "switch", "ms"])
@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda value: repr(value)[:20])
def test_a_part_that_cannot_be_read_starts_afresh_and_the_others_stay(part, garbage):
    raw = lived_in().state.to_json()
    intact = ProviderState.from_json(raw)
    found = ProviderState.from_json({**raw, part: garbage})
    names = {"at": "seen_at", "calls": "lifetime_calls", "ms": "latencies"}
    touched = names.get(part, part)
    if (part, garbage) != ("at", -1):  # a moment before 1970, but a moment
        assert getattr(found, touched) == getattr(ProviderState(), touched)
    others = {"seen_at", "lifetime_calls", "rate", "breaker", "switch", "latencies"} - {touched}
    assert all(getattr(found, name) == getattr(intact, name) for name in others)


@pytest.mark.parametrize("numbers", [[NOW, 1], [NOW, 1.5, 0], [NOW, 1, -1], ["x", 1, 1], [float("nan"), 1, 1], "abc"])
def test_a_window_that_cannot_be_read_takes_its_part_with_it(numbers):
    raw = lived_in().state.to_json()
    raw["switch"][0] = numbers
    assert ProviderState.from_json(raw).switch == ProviderState().switch


def test_the_count_for_life_survives_another_version():
    raw = {**lived_in().state.to_json(), "v": 99, "calls": 49_999}
    assert ProviderState.from_json(raw) == ProviderState(lifetime_calls=49_999)


@pytest.mark.parametrize("part", ["at", "rate", "breaker", "switch", "ms"])
def test_a_missing_part_is_fresh(part):
    raw = lived_in().state.to_json()
    del raw[part]
    assert ProviderState.from_json(raw).lifetime_calls == 5


DAY = 86_400.0


def test_a_clock_that_is_put_back_by_a_day_makes_no_breaker_stay_open_for_a_day():
    desk = Desk()
    desk.fail(8)
    desk.time = -DAY
    assert desk.standing.breaker == "half_open"
    assert isinstance(desk.ask(), Admitted)
    assert desk.ask() == Denied("breaker_open", NOW - DAY + 1)
    desk.fail()
    assert desk.ask() == Denied("breaker_open", NOW - DAY + 30)


def test_a_clock_that_is_put_back_by_a_day_makes_no_pause_or_queue_last_a_day():
    desk = Desk(ProviderPolicy(per_second=1, burst=2))
    desk.hear(throttled(10.0))
    desk.send_times(5)
    desk.time = -DAY
    assert desk.standing.paused_until == 0.0
    assert desk.send_times(3) == [0.0, 0.0, 1.0]


def test_a_clock_that_is_put_back_by_a_day_keeps_what_was_counted_no_longer_than_ever():
    desk = Desk()
    desk.ok(17)
    desk.fail(3)
    desk.time = -DAY
    assert (desk.standing.calls, desk.standing.failures) == (20, 3)
    assert desk.standing.probe_due
    desk.ok(2)
    desk.time += 300
    assert (desk.standing.calls, desk.standing.failures) == (0, 0)


def test_a_learned_limit_survives_a_clock_that_is_put_back():
    desk = Desk(ProviderPolicy(burst=1))
    desk.hear(report(quota=Quota(limit=2, window_seconds=1.0)))
    desk.time = -DAY
    assert desk.send_times(2) == [0.0, 0.5]


@pytest.mark.parametrize("step", [-0.2, -59.0])
def test_clocks_of_machines_that_differ_a_little_share_one_bucket(step):
    desk = Desk(ProviderPolicy(per_second=1, burst=1))
    desk.ask()
    desk.time = step
    assert desk.ask() == Admitted(NOW + 1)
    desk.time = 0.0
    assert desk.ask() == Admitted(NOW + 2)
