"""What a vendor's replies teach: pauses for all processes, and a pace."""

from __future__ import annotations

import pytest
from support.protection import NOW, Desk, report, throttled

from enrichment_dagster.engine.protection import Denied, ProviderPolicy, Quota, Verdict


def paused_for(*reports) -> float:
    desk = Desk()
    desk.hear(*reports)
    return desk.send_times(1)[0]


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [(None, 1.0), (0.0, 0.0), (7.0, 7.0), (300.0, 300.0), (301.0, 300.0), (86_400.0, 300.0), (-5.0, 0.0)],
)
def test_a_throttled_call_pauses_everybody_as_long_as_the_vendor_asks_within_limits(retry_after, pause):
    assert paused_for(throttled(retry_after)) == pause


def test_a_wait_that_comes_without_throttling_concerns_that_call_alone():
    assert paused_for(report(Verdict.OK, retry_after_seconds=30.0)) == 0.0


@pytest.mark.parametrize(
    ("quota", "pause"),
    [
        (Quota(remaining=0, resets_in_seconds=20.0), 20.0),
        (Quota(remaining=0, resets_in_seconds=1_790_000_000.0), 300.0),  # an epoch that was taken for a duration
        (Quota(remaining=0), 0.0),
        (Quota(remaining=1, resets_in_seconds=20.0), 0.0),
        (Quota(resets_in_seconds=20.0), 0.0),
    ],
)
def test_a_quota_that_is_used_up_pauses_until_it_begins_anew(quota, pause):
    assert paused_for(report(quota=quota)) == pause


def test_the_longer_pause_holds():
    assert paused_for(throttled(10.0), throttled(2.0)) == 10.0
    assert paused_for(throttled(2.0, Quota(remaining=0, resets_in_seconds=10.0))) == 10.0


def test_a_pause_that_outlasts_patience_refuses():
    desk = Desk()
    desk.hear(throttled(10.0))
    assert desk.ask(patience=9.9) == Denied("rate_limited", NOW + 10)
    assert desk.standing.paused_until == NOW + 10
    desk.time = 10.0
    assert desk.standing.paused_until == 0.0
    assert desk.send_times(1) == [0.0]


def test_calls_after_a_pause_are_spaced_from_its_end():
    desk = Desk(ProviderPolicy(per_second=2, burst=2))
    desk.hear(throttled(10.0))
    assert desk.send_times(4) == [10.0, 10.0, 10.5, 11.0]


@pytest.mark.parametrize(
    ("configured", "quota", "second_call_after"),
    [
        (None, Quota(limit=120, window_seconds=60.0), 0.5),
        (10.0, Quota(limit=120, window_seconds=60.0), 0.5),
        (1.0, Quota(limit=120, window_seconds=60.0), 1.0),
        (None, Quota(limit=120), 0.0),
        (None, Quota(window_seconds=60.0), 0.0),
        (None, Quota(limit=0, window_seconds=60.0), 0.0),
        (None, Quota(limit=-1, window_seconds=60.0), 0.0),
        (None, Quota(limit=120, window_seconds=0.0), 0.0),
        (None, Quota(limit=1, window_seconds=300.0), 300.0),
        (None, Quota(limit=600, window_seconds=86_400.0), 0.0),  # a day's allowance is no pace
    ],
)
def test_the_smaller_of_configured_and_learned_rate_sets_the_pace(configured, quota, second_call_after):
    desk = Desk(ProviderPolicy(per_second=configured, burst=1))
    desk.hear(report(quota=quota))
    assert desk.send_times(2) == [0.0, second_call_after]


def test_a_burst_is_never_larger_than_what_the_vendor_allows_in_its_window():
    desk = Desk(ProviderPolicy(burst=10))
    desk.hear(report(quota=Quota(limit=2, window_seconds=2.0)))
    assert desk.send_times(4) == [0.0, 0.0, 1.0, 2.0]


def test_the_latest_word_holds_and_silence_changes_nothing():
    desk = Desk(ProviderPolicy(burst=1))
    desk.hear(report(quota=Quota(limit=1, window_seconds=1.0)), report(quota=Quota(limit=4, window_seconds=1.0)))
    desk.hear(report(), report(quota=Quota()))
    assert desk.send_times(3) == [0.0, 0.25, 0.5]
