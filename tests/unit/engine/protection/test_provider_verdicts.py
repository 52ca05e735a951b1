"""What a call's end says of its provider's health."""

from __future__ import annotations

import pytest

from enrichment_dagster.engine.protection import Verdict, verdict_of
from enrichment_dagster.engine.protection.verdict import ERROR_VERDICTS
from enrichment_dagster.http.failures import _FAILURES
from enrichment_dagster.http.statuses import STATUS_RULES


@pytest.mark.parametrize("outcome", ["hit", "miss", "pending"])
def test_an_answer_is_no_failure_whatever_it_says(outcome):
    assert verdict_of(outcome, "") is Verdict.OK


@pytest.mark.parametrize("reason", ["worker_lost", "", "timeout"])
def test_a_call_whose_worker_was_lost_says_nothing(reason):
    assert verdict_of("unknown", reason) is Verdict.NEUTRAL


@pytest.mark.parametrize(
    "reason",
    [
        "throttled",
        "bad_request",
        "invalid_request",
        "restricted",
        "not_found",
        "incomplete_query",
        "rejected",
        "conflict",
    ],
)
def test_what_is_wrong_with_one_request_says_nothing(reason):
    assert verdict_of("error", reason) is Verdict.NEUTRAL


@pytest.mark.parametrize("reason", ["egress_refused", "request_too_large", "worker_lost", "locked", "too_early"])
def test_what_we_or_the_moment_stood_in_the_way_of_says_nothing(reason):
    assert verdict_of("error", reason) is Verdict.NEUTRAL


@pytest.mark.parametrize("reason", ["unauthorized", "out_of_credits", "forbidden", "adapter_fault", "redirected"])
def test_a_provider_that_is_of_no_use_to_us_has_failed(reason):
    assert verdict_of("error", reason) is Verdict.FAILURE


@pytest.mark.parametrize(
    "reason", ["timeout", "connect", "dns", "tls", "malformed", "unavailable", "server_error", "connection_lost"]
)
def test_a_provider_that_breaks_down_has_failed(reason):
    assert verdict_of("error", reason) is Verdict.FAILURE


def test_a_provider_that_works_on_the_answer_has_not_failed():
    assert verdict_of("error", "pending") is Verdict.OK


@pytest.mark.parametrize("reason", ["", "new_reason"])
def test_an_error_that_nobody_named_is_a_failure(reason):
    assert verdict_of("error", reason) is Verdict.FAILURE


def test_every_reason_of_the_http_layer_is_decided_by_name():
    reasons = {rule.reason for rule in STATUS_RULES.values()} | {failure.reason for _, failure in _FAILURES}
    assert reasons | {"redirected", "rejected"} <= set(ERROR_VERDICTS)
