"""What a call's end says of its provider's health: one table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Verdict(StrEnum):
    """What the breaker and the switch count."""

    OK = "ok"  # the provider did its work; "no data found" is an answer
    FAILURE = "failure"  # the provider did not do its work
    NEUTRAL = "neutral"  # says nothing of its health: our request was wrong, or it throttles us


_OUTCOMES: Mapping[str, Verdict] = MappingProxyType(
    {
        "hit": Verdict.OK,
        "miss": Verdict.OK,
        "pending": Verdict.OK,  # it took the job; how the job ends is another report
        "unknown": Verdict.NEUTRAL,  # our worker was lost before it could tell
    }
)

ERROR_VERDICTS: Mapping[str, Verdict] = MappingProxyType(
    {
        # About this one request, or about us.
        "bad_request": Verdict.NEUTRAL,
        "conflict": Verdict.NEUTRAL,
        "egress_refused": Verdict.NEUTRAL,
        "incomplete_query": Verdict.NEUTRAL,
        "invalid_request": Verdict.NEUTRAL,
        "locked": Verdict.NEUTRAL,
        "not_found": Verdict.NEUTRAL,
        "rejected": Verdict.NEUTRAL,
        "request_too_large": Verdict.NEUTRAL,
        "restricted": Verdict.NEUTRAL,
        "spending_stopped": Verdict.NEUTRAL,
        "throttled": Verdict.NEUTRAL,
        "too_early": Verdict.NEUTRAL,
        "worker_lost": Verdict.NEUTRAL,
        # It works on the answer.
        "pending": Verdict.OK,
        # It is of no use as things stand: until somebody acts, others are better asked.
        "adapter_fault": Verdict.FAILURE,
        "error_in_reply": Verdict.FAILURE,
        "forbidden": Verdict.FAILURE,
        "migrating": Verdict.FAILURE,
        "not_implemented": Verdict.FAILURE,
        "out_of_credits": Verdict.FAILURE,
        "redirected": Verdict.FAILURE,
        "unauthorized": Verdict.FAILURE,
        # It can't be reached, or breaks down.
        "connect": Verdict.FAILURE,
        "connect_timeout": Verdict.FAILURE,
        "connection_lost": Verdict.FAILURE,
        "dns": Verdict.FAILURE,
        "malformed": Verdict.FAILURE,
        "protocol": Verdict.FAILURE,
        "server_error": Verdict.FAILURE,
        "timeout": Verdict.FAILURE,
        "tls": Verdict.FAILURE,
        "too_large": Verdict.FAILURE,
        "unavailable": Verdict.FAILURE,
    }
)
"""Reason code of an error -> verdict. A reason that is missing here counts as a failure."""


def verdict_of(outcome: str, reason: str) -> Verdict:
    """Return what an attempt's outcome ("hit", "miss", "pending", "error", "unknown") and reason code stand for."""
    return _OUTCOMES.get(outcome) or ERROR_VERDICTS.get(reason, Verdict.FAILURE)
