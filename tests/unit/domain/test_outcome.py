"""How an enrichment ended follows from what was bought and what is missing."""

from __future__ import annotations

import pytest

from enrichment_dagster.domain.outcome import MissingReason, Outcome, decide_outcome

CURABLE = {MissingReason.TIMEOUT, MissingReason.PROVIDER_DOWN}


@pytest.mark.parametrize("reason", list(MissingReason))
def test_nothing_found_is_never_called_enriched(reason):
    pending = reason is MissingReason.PENDING  # a provider still works on it
    expected = Outcome.PARTIAL if pending else Outcome.FAILED if reason in CURABLE else Outcome.UNCHANGED
    assert decide_outcome(missing={"title": reason}, bought=0) is expected


@pytest.mark.parametrize("reason", list(MissingReason))
def test_something_found_and_something_missing_is_partial(reason):
    assert decide_outcome(missing={"title": reason}, bought=1) is Outcome.PARTIAL


def test_everything_there_after_we_added_something_is_enriched():
    assert decide_outcome(missing={}, bought=1) is Outcome.ENRICHED


def test_everything_there_before_we_came_is_unchanged():
    assert decide_outcome(missing={}, bought=0) is Outcome.UNCHANGED
