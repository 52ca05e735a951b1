"""What is known of a person and company while the waterfall runs."""

from __future__ import annotations

from support.builders import a_value

from enrichment_dagster.domain.fields import RejectedValue
from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.domain.waterfall import Knowledge


def test_the_first_valid_value_stays():
    known = Knowledge(["title"])
    assert known.add([a_value(value="CTO")]) == [a_value(value="CTO")]
    assert known.add([a_value(value="CEO", provider="clearbit")]) == []
    assert known.values["title"].value == "CTO"


def test_the_first_of_two_values_in_one_answer_stays_too():
    known = Knowledge(["title"])
    assert known.add([a_value(value="CTO"), a_value(value="CEO")]) == [a_value(value="CTO")]
    assert known.values["title"].value == "CTO"


def test_what_is_missing_and_useful_comes_in_the_plans_order():
    known = Knowledge(["title", "phone", "city"])
    known.add([a_value("phone", "+14155552671")])
    assert known.missing() == ["title", "city"]
    assert known.useful(["city", "title", "industry"]) == ["title", "city"]


def test_fields_that_nobody_asked_for_are_kept():
    known = Knowledge(["title"])
    assert len(known.add([a_value("city", "Berlin")])) == 1
    assert known.missing() == ["title"]


def test_every_missing_field_has_its_reason():
    known = Knowledge(["title", "phone", "city", "industry"])
    known.rejected.append(RejectedValue("phone", "'x'", "apollo", "not_a_phone"))
    known.obstruct(["title"], MissingReason.PROVIDER_DOWN)
    assert known.missing_reasons(["title", "phone", "city"]) == {
        "title": MissingReason.PROVIDER_DOWN,
        "phone": MissingReason.INVALID,
        "city": MissingReason.NO_DATA,
        "industry": MissingReason.NO_PROVIDER,
    }


def test_an_obstacle_is_forgotten_when_another_provider_has_the_field():
    known = Knowledge(["title"])
    known.obstruct(["title"], MissingReason.TIMEOUT)
    known.add([a_value()])
    assert known.missing_reasons(["title"]) == {}
