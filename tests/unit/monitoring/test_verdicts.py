"""The quick checks of a lane, over plain values."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.clock import START

from enrichment_dagster.domain.latency import Journey
from enrichment_dagster.monitoring.checks import (
    MOST_REFUSED_AN_HOUR,
    MOST_WRITES_AN_HOUR,
    coverage_verdict,
    latency_verdict,
    loops_verdict,
    routing_verdict,
    violations_verdict,
)


def at(seconds: float | None):
    return None if seconds is None else START + timedelta(seconds=seconds)


def journey(occurred=0.0, received=1.0, started=3.0, finished=5.0, delivered=6.0, owed=False) -> Journey:
    return Journey(at(occurred), at(received), at(started), at(finished), at(delivered), awaits_delivery=owed)


NOW = at(600)
DONE = journey()


# --- latency ---------------------------------------------------------------------------------------------------------


def test_a_lane_without_traffic_passes_and_says_so() -> None:
    verdict = latency_verdict([], 60, NOW)
    assert verdict.passed
    assert (verdict.numbers["samples"], verdict.message) == (0, "no events")


def test_events_within_the_target_pass_with_their_percentiles() -> None:
    verdict = latency_verdict([DONE, journey(delivered=20.0)], 60, NOW)
    assert verdict.passed
    assert {name: verdict.numbers[name] for name in ("samples", "open", "p50_seconds", "p99_seconds")} == {
        "samples": 2,
        "open": 0,
        "p50_seconds": 6.0,
        "p99_seconds": 20.0,
    }


def test_the_target_itself_is_still_in_time() -> None:
    assert latency_verdict([journey(delivered=60.0)], 60, NOW).passed
    assert not latency_verdict([journey(delivered=60.001)], 60, NOW).passed


def test_five_late_events_in_a_hundred_are_tolerated_six_are_not() -> None:
    """The target holds for 95 % of the events."""
    late = journey(delivered=90.0)
    assert latency_verdict([DONE] * 95 + [late] * 5, 60, NOW).passed
    assert not latency_verdict([DONE] * 94 + [late] * 6, 60, NOW).passed


def test_one_open_event_older_than_the_target_fails_the_lane() -> None:
    """A dead lane has no finished events that could be slow."""
    verdict = latency_verdict([DONE] * 99 + [journey(started=None, finished=None, delivered=None)], 60, NOW)
    assert not verdict.passed
    assert verdict.message.startswith("an open event is 600 s old, the target is 60 s")
    assert verdict.numbers["open"] == 1


STUCK = [
    (journey(started=None, finished=None, delivered=None), "queue_wait"),
    (journey(finished=None, delivered=None), "processing"),
    (journey(delivered=None, owed=True), "delivery"),
]
LATE = [(journey(occurred=-100.0), "ingest_lag"), (journey(delivered=100.0), "delivery")]


@pytest.mark.parametrize(("late", "hop"), STUCK + LATE)
def test_the_message_names_the_hop_where_the_time_was_lost(late: Journey, hop: str) -> None:
    verdict = latency_verdict([late], 60, NOW)
    assert not verdict.passed
    assert verdict.numbers["slow_hop"] == hop
    assert f"the slow hop is {hop}" in verdict.message


@pytest.mark.parametrize(("stuck", "hop"), STUCK)
def test_one_stuck_event_is_not_blamed_on_the_hop_of_those_in_time(stuck: Journey, hop: str) -> None:
    """200 events that took 40 s of the 60 in another hop surround it."""
    others = [
        journey(received=0.1, started=0.2, finished=40.0, delivered=41.0),
        journey(received=0.1, started=40.0, finished=40.2, delivered=41.0),
    ]
    assert latency_verdict([*others * 100, stuck], 60, NOW).numbers["slow_hop"] == hop


# --- coverage --------------------------------------------------------------------------------------------------------


def test_coverage_of_nothing_passes_and_says_so() -> None:
    verdict = coverage_verdict([], ["email", "title"], 0.5)
    assert verdict.passed
    assert (verdict.numbers["samples"], verdict.message) == (0, "no events")


def test_coverage_is_the_share_of_wanted_fields_that_are_filled() -> None:
    verdict = coverage_verdict([["title"], [], ["title", "email"]], ["email", "title"], 0.5)
    assert verdict.numbers["coverage"] == 0.5
    assert verdict.numbers["filled_title"] == pytest.approx(0.3333)
    assert verdict.passed
    assert verdict.message == "50% of the wanted fields are filled; least: title 33%, email 67%"


def test_too_little_coverage_is_a_warning() -> None:
    """Providers know what they know: nobody is called out of bed for it."""
    verdict = coverage_verdict([["email", "title"]], ["email", "title"], 0.5)
    assert not verdict.passed
    assert not verdict.severe


def test_fields_that_are_no_longer_wanted_do_not_count() -> None:
    """Events of before a change of the configuration list fields that nobody asks for any more."""
    assert coverage_verdict([["phone", "fax"]], ["email"], 0.5).numbers["coverage"] == 1.0


# --- violations ------------------------------------------------------------------------------------------------------


def test_violations_of_nothing_pass_and_say_so() -> None:
    verdict = violations_verdict(0, {}, 0.05)
    assert (verdict.passed, verdict.numbers["samples"], verdict.message) == (True, 0, "no values")


def test_violations_are_counted_by_provider_and_field_and_named() -> None:
    verdict = violations_verdict(90, {"apollo.phone": 7, "clearbit.employees": 3}, 0.05)
    assert not verdict.passed
    assert not verdict.severe
    assert verdict.numbers["share"] == 0.1
    assert verdict.message == "10 of 100 values are in quarantine; most: apollo.phone 7, clearbit.employees 3"


def test_as_many_violations_as_allowed_pass() -> None:
    assert violations_verdict(95, {"apollo.phone": 5}, 0.05).passed


# --- routing ---------------------------------------------------------------------------------------------------------


def routed(seconds: float, **changes) -> Journey:
    return journey(occurred=0.0, received=0.0, started=0.1, finished=seconds, delivered=seconds, **changes)


def test_leads_that_are_routed_in_three_seconds_pass() -> None:
    verdict = routing_verdict([routed(0.5), routed(2.9)], 0, NOW)
    assert (verdict.passed, verdict.message) == (True, "p95 2.90 s of 3 s, 2 leads")
    assert routing_verdict([], 0, NOW).message == "no events"


def test_few_slow_leads_among_few_fail_by_the_95th_percentile() -> None:
    assert not routing_verdict([routed(0.5)] * 18 + [routed(3.5)] * 2, 0, NOW).passed
    assert routing_verdict([routed(0.5)] * 19 + [routed(3.5)], 0, NOW).passed


def test_among_many_the_99th_percentile_counts() -> None:
    """Of fewer than a hundred it would be the slowest one."""
    assert routing_verdict([routed(0.5)] * 99 + [routed(3.5)], 0, NOW).passed
    assert not routing_verdict([routed(0.5)] * 98 + [routed(3.5)] * 2, 0, NOW).passed


def test_a_record_that_was_not_told_yet_counts_with_its_age() -> None:
    verdict = routing_verdict([routed(0.5, owed=True)], 0, NOW)
    assert (verdict.passed, verdict.numbers["open"], verdict.numbers["p95_seconds"]) == (False, 1, 600)


def test_leads_that_a_gateway_left_behind_are_named() -> None:
    verdict = routing_verdict([routed(8.0)], 1, NOW)
    assert verdict.message == "p95 8.00 s of 3 s, 1 leads; 1 were left by a gateway that ended"


# --- loops -----------------------------------------------------------------------------------------------------------


def test_without_writes_there_is_no_loop() -> None:
    verdict = loops_verdict(writes=0, busiest=0, records_over=0, refused=0)
    assert (verdict.passed, verdict.message, verdict.numbers["samples"]) == (True, "no writes", 0)


def test_as_many_writes_as_lanes_and_follow_ups_make_are_no_loop() -> None:
    verdict = loops_verdict(writes=2_000, busiest=MOST_WRITES_AN_HOUR, records_over=0, refused=MOST_REFUSED_AN_HOUR)
    assert verdict.passed
    assert verdict.message == "2000 writes, at most 10 to one record"


def test_a_record_that_is_written_again_and_again_is_a_warning() -> None:
    verdict = loops_verdict(writes=60, busiest=58, records_over=1, refused=0)
    assert (verdict.passed, verdict.severe) == (False, False)
    assert verdict.message == "1 record was written more than 10 times in an hour, the busiest 58 times"


def test_events_that_were_refused_for_their_depth_say_that_a_workflow_fires_on_our_updates() -> None:
    verdict = loops_verdict(writes=60, busiest=2, records_over=0, refused=MOST_REFUSED_AN_HOUR + 1)
    assert not verdict.passed
    assert verdict.message.startswith("11 events were set off by our own updates")
