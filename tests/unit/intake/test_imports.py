"""Which events of a delivery somebody may wait for: an import is left to the standard lane."""

from __future__ import annotations

from support.builders import an_event

from enrichment_dagster.intake.imports import MOST_TOGETHER, urgent


def some(count, **attributes):
    return [an_event(number, attributes=attributes) for number in range(count)]


def test_a_lead_from_a_form_is_urgent():
    assert urgent(some(1, changeSource="CRM_UI")) == [True]


def test_what_hubspot_imports_is_not_however_few_come_in_one_delivery():
    events = [*some(1, changeSource="IMPORT"), *some(2, changeSource="INTEGRATION")]
    assert urgent(events) == [False, True, True]


def test_many_leads_in_one_delivery_are_an_import():
    assert urgent(some(MOST_TOGETHER)) == [True] * MOST_TOGETHER
    assert urgent(some(MOST_TOGETHER + 1)) == [False] * (MOST_TOGETHER + 1)


def test_a_sender_that_says_nothing_of_the_source_is_taken_for_a_form():
    assert urgent(some(1, email="jane@acme.com")) == [True]
    assert urgent([]) == []
