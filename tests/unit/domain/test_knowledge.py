"""What is known of a person and company while the waterfall runs."""

from __future__ import annotations

from support.builders import COMPANY, a_value

from enrichment_dagster.domain.fields import RejectedValue
from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.domain.waterfall import Knowledge


def test_the_more_trusted_provider_wins_whoever_comes_first():
    apollo, clearbit = a_value(), a_value(value="CEO", provider="clearbit", precedence=2)
    for order in ([apollo, clearbit], [clearbit, apollo]):
        known = Knowledge(["title"])
        for value in order:
            known.add([value])
        assert known.values["title"] is apollo
        assert known.alternatives == [clearbit]


def test_what_the_record_says_wins_over_all_that_is_bought():
    known = Knowledge(["title"])
    known.add([a_value(value="CTO", confidence=1.0), a_value(value="VP", provider="hubspot", precedence=0)])
    assert known.values["title"].value == "VP"
    assert known.bought == []


def test_a_fresh_value_wins_over_a_stale_one_of_a_more_trusted_provider():
    known = Knowledge(["title"])
    known.add([a_value(stale=True), a_value(value="CEO", provider="clearbit", precedence=2)])
    assert known.values["title"].value == "CEO"


def test_of_one_providers_two_words_the_surer_one_is_kept():
    known = Knowledge(["title"])
    known.add([a_value(value="CTO", confidence=0.6), a_value(value="CEO", confidence=0.9)])
    assert known.values["title"].value == "CEO"


def test_fields_of_two_companies_never_meet_in_one_record():
    """Apollo says that she works for Client, Clearbit knows the head count of the agency behind her address."""
    known = Knowledge(["company_name", "employees"], COMPANY)
    client = "domain:client.io"
    known.add(
        [
            a_value("company_domain", "client.io", subject_key=client),
            a_value("company_name", "Client", subject_key=client),
        ]
    )
    known.add([a_value("employees", 9, provider="clearbit", subject_key=COMPANY, precedence=2)])
    assert known.company_key == client
    assert known.missing() == ["employees"]
    assert [value.field for value in known.alternatives] == ["employees"]


def test_what_the_record_itself_says_of_its_company_counts_in_any_case():
    known = Knowledge(["industry"], COMPANY)
    known.add([a_value("company_domain", "client.io", subject_key="domain:client.io")])
    known.add([a_value("industry", "Retail", provider="hubspot", subject_key=COMPANY, precedence=0)])
    assert known.missing() == []


def test_a_value_that_is_proven_wrong_is_forgotten_and_can_not_come_back():
    known = Knowledge(["email"])
    known.add([a_value("email", "old@acme.com")])
    known.refuse("email", "old@acme.com")
    known.add([a_value("email", "old@acme.com", provider="clearbit", precedence=2)])
    assert known.missing() == ["email"]
    known.add([a_value("email", "new@acme.com", provider="clearbit", precedence=2)])
    assert known.values["email"].value == "new@acme.com"
    assert [bad.reason for bad in known.rejected] == ["proven_wrong"]


def test_after_a_rejection_the_next_best_counts():
    known = Knowledge(["title"])
    best, next_best = a_value(), a_value(value="CEO", provider="clearbit", precedence=2)
    known.add([best, next_best])
    known.reject(best, "bad_value", "CTO")
    assert known.values["title"] is next_best


def test_what_is_missing_and_useful_comes_in_the_plans_order():
    known = Knowledge(["title", "phone", "city"])
    known.add([a_value("phone", "+14155552671")])
    assert known.missing() == ["title", "city"]
    assert known.useful(["city", "title", "industry"]) == ["title", "city"]


def test_fields_that_nobody_asked_for_are_kept():
    known = Knowledge(["title"])
    known.add([a_value("city", "Berlin")])
    assert known.missing() == ["title"]
    assert known.values["city"].value == "Berlin"


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


def test_of_several_reasons_the_one_that_a_later_moment_may_cure_is_told():
    for reasons in ([MissingReason.BUDGET, MissingReason.TIMEOUT], [MissingReason.TIMEOUT, MissingReason.BUDGET]):
        known = Knowledge(["title"])
        for reason in reasons:
            known.obstruct(["title"], reason)
        assert known.missing_reasons(["title"]) == {"title": MissingReason.TIMEOUT}
