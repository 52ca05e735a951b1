"""How the enrichment of an event ended, and why a field is missing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Outcome(StrEnum):
    """Final states of an event. They never change once stored."""

    ENRICHED = "enriched"  # every wanted field is filled, at least one of them by us
    PARTIAL = "partial"  # something was filled, something is missing
    UNCHANGED = "unchanged"  # nothing new was found, or nothing was wanted
    SKIPPED = "skipped"  # a rule said no; the reason is stored
    FAILED = "failed"  # no provider could be asked with success; a follow-up tries again
    DEAD = "dead"  # given up; kept as a dead letter


class MissingReason(StrEnum):
    """Why a wanted field has no value."""

    NO_DATA = "no_data"  # every provider that could have it was asked
    TIMEOUT = "timeout"  # the deadline came first
    BUDGET = "budget"  # the money for it was spent
    POLICY = "policy"  # a rule forbids asking
    PROVIDER_DOWN = "provider_down"  # a provider that may have it failed
    NO_PROVIDER = "no_provider"  # nobody in the plan has this field
    INVALID = "invalid"  # a provider's value failed validation and is in quarantine
    PENDING = "pending"  # a provider works on it and answers later


RETRYABLE_REASONS = frozenset({MissingReason.TIMEOUT, MissingReason.PROVIDER_DOWN})
"""Reasons that a later try may cure: only these lead to a follow-up."""


def decide_outcome(*, missing: Mapping[str, MissingReason], bought: int) -> Outcome:
    """Say how an enrichment ended.

    ``missing`` gives the wanted fields without a value and why, ``bought`` counts the values that this enrichment
    added. Nothing found is never called enriched; what a provider still works on is partial.
    """
    if bought or MissingReason.PENDING in missing.values():
        return Outcome.PARTIAL if missing else Outcome.ENRICHED
    if any(reason in RETRYABLE_REASONS for reason in missing.values()):
        return Outcome.FAILED
    return Outcome.UNCHANGED
