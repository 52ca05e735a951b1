"""When a failed call is made again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment_dagster.engine.retry import RetryPolicy, backoff_seconds
from enrichment_dagster.errors import ProviderError

POLICY = RetryPolicy(attempts=3, first_delay_seconds=0.5, max_delay_seconds=8.0)


def delay(failures=1, *, transient=True, after=None, remaining=100.0, jitter=1.0, policy=POLICY):
    error = ProviderError("throttled", transient=transient, retry_after_seconds=after)
    return policy.delay(failures=failures, error=error, remaining_seconds=remaining, jitter=jitter)


def test_a_terminal_error_is_never_repeated():
    assert delay(transient=False) is None


def test_attempts_count_the_first_call():
    assert [delay(n) is None for n in (1, 2, 3, 4)] == [False, False, True, True]


def test_the_wait_doubles_up_to_its_limit():
    many = RetryPolicy(attempts=10, first_delay_seconds=0.5, max_delay_seconds=2.0)
    assert [delay(n, policy=many) for n in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 2.0, 2.0]


def test_jitter_takes_at_most_half_away():
    assert delay(jitter=0.0) == 0.25


def test_what_the_vendor_asks_for_is_honoured_and_capped():
    assert delay(after=7.0) == 7.0
    assert delay(after=0.01) == 0.5
    assert delay(after=86_400.0) == 60.0


@pytest.mark.parametrize("remaining", [0.0, 0.5, -1.0])
def test_a_wait_that_would_outlast_the_deadline_is_no_use(remaining):
    assert delay(remaining=remaining) is None
    assert delay(remaining=59.0, after=300.0) is None


@given(st.integers(1, 12), st.booleans(), st.none() | st.floats(0, 1e9), st.floats(-10, 100), st.floats(0, 1))
def test_no_wait_is_negative_or_outlasts_deadline_and_cap(failures, transient, after, remaining, jitter):
    found = delay(failures, transient=transient, after=after, remaining=remaining, jitter=jitter)
    if found is not None:
        assert transient
        assert failures < POLICY.attempts
        assert 0 < found < remaining
        assert found <= 60.0


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_durable_retries_come_ever_later_and_are_never_given_up(tries, jitter):
    found = backoff_seconds(tries, first=5.0, longest=900.0, jitter=jitter)
    assert 3.75 <= found <= 900.0 * 1.25
