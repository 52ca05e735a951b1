"""When a failed call is made again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment_dagster.engine.retry import RetryPolicy, backoff_seconds
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http.failures import classify
from enrichment_dagster.http.statuses import rule_for

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


def test_a_wait_without_end_is_capped_like_any_other():
    assert delay(after=float("inf")) == 60.0


def test_a_reply_that_asks_for_less_than_the_backoff_does_not_shorten_it():
    assert delay(3, after=0.0, policy=RetryPolicy(attempts=4, first_delay_seconds=0.5, max_delay_seconds=8.0)) == 2.0


def test_one_attempt_means_no_repetition():
    assert delay(policy=RetryPolicy(attempts=1, first_delay_seconds=0.5, max_delay_seconds=8.0)) is None


def test_a_wait_that_ends_with_the_deadline_is_no_use_and_one_that_ends_before_is():
    assert delay(after=7.0, remaining=7.0) is None
    assert delay(after=7.0, remaining=7.01) == 7.0


def test_no_4xx_is_repeated_but_those_that_pass_by_themselves():
    """477 is HubSpot's word for an account that moves between data centres."""
    repeated = {status for status in range(400, 500) if delay(transient=rule_for(status, {}).transient) is not None}
    assert repeated == {408, 423, 425, 429, 477}


def test_every_5xx_is_repeated_but_what_the_vendor_never_built():
    assert {status for status in range(500, 600) if not rule_for(status, {}).transient} == {501}


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307])
def test_no_success_and_no_redirect_is_repeated(status):
    assert not rule_for(status, {}).transient


@pytest.mark.parametrize(
    ("error", "repeated"),
    [(TimeoutError(), True), (ConnectionResetError(), True), (ValueError("a header with a line break"), False)],
)
def test_a_call_without_a_reply_is_repeated_unless_it_can_never_be_sent(error, repeated):
    assert classify(error).transient is repeated


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
