"""Percentiles, and the hops of an event's way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import START

from enrichment_dagster.domain.latency import Journey, percentile


def at(seconds):
    return None if seconds is None else START + timedelta(seconds=seconds)


def journey(started=None, finished=None, delivered=None, *, owed=False):
    return Journey(at(0), at(1), at(started), at(finished), at(delivered), awaits_delivery=owed)


@pytest.mark.parametrize(("share", "expected"), [(0, 1.0), (0.25, 1.0), (0.5, 2.0), (0.51, 3.0), (0.95, 4.0), (1, 4.0)])
def test_a_percentile_is_a_value_that_occurred(share, expected):
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == expected


def test_the_percentile_of_nothing_is_zero():
    assert percentile([], 0.95) == 0.0


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_at_least_that_share_of_the_values_lies_below(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


def test_an_event_that_waits_has_one_open_hop_that_counts_up_to_now():
    assert journey().hops(at(31)) == {"ingest_lag": 1.0, "queue_wait": 30.0}


def test_a_write_that_is_owed_is_part_of_the_way_and_keeps_the_event_open():
    """A lane whose writes never arrive must not look fast."""
    open_journey = journey(3, 5, owed=True)
    assert open_journey.hops(at(65)) == {"ingest_lag": 1.0, "queue_wait": 2.0, "processing": 2.0, "delivery": 60.0}
    assert open_journey.is_open
    assert open_journey.seconds(at(65)) == 65.0


def test_a_second_write_that_is_owed_reopens_an_event_that_was_delivered_once():
    assert journey(3, 5, 6, owed=True).seconds(at(90)) == 90.0


def test_the_latency_of_a_finished_event_stands_still():
    done = journey(3, 5, 8)
    assert done.hops(at(1_000))["delivery"] == 3.0
    assert done.seconds(at(1_000)) == 8.0


def test_an_event_with_nothing_to_deliver_ends_with_its_outcome():
    done = journey(3, 5)
    assert "delivery" not in done.hops(at(1_000))
    assert done.seconds(at(1_000)) == 5.0
    assert not done.is_open


def test_clocks_that_disagree_give_zero_and_not_less():
    """A sender's clock may be ahead of ours."""
    assert Journey(at(5), at(0), at(0), at(0), None, awaits_delivery=False).hops(at(1))["ingest_lag"] == 0.0
