"""One form for each kind of value, and a stable reason for what has none."""

from __future__ import annotations

import pytest

from enrichment_dagster.domain.fields import NEVER_VALUES
from enrichment_dagster.domain.normalise import (
    InvalidValueError,
    comparable_company,
    normalise,
    normalise_domain,
    normalise_phone,
    personal_reason,
)

GOOD = [
    ("title", "  Chief\tTechnology \n Officer ", "Chief Technology Officer"),
    ("title", "VP\x00Sales\x1f\x85", "VP Sales"),
    ("title", "Größenwahn & Söhne 株式会社", "Größenwahn & Söhne 株式会社"),
    ("email", "  Jane.Doe@ACME.com ", "Jane.Doe@acme.com"),
    ("email", "jane+news@acme.com", "jane+news@acme.com"),
    ("email", "jörg@müller.de", "jörg@müller.de"),
    ("email", "jane@xn--mller-kva.de", "jane@müller.de"),
    ("phone", "+1 (415) 555-2671", "+14155552671"),
    ("phone", "+49 30 901820 ext. 5", "+4930901820"),
    ("company_domain", "https://www.shop.example.co.uk/x?y=1", "example.co.uk"),
    ("company_domain", "ACME.com.", "acme.com"),
    ("company_domain", "acme.com/redirect?to=http://other.com", "acme.com"),
    ("company_domain", "www.xn--mller-kva.de", "müller.de"),
    ("company_domain", "MÜLLER.de", "müller.de"),
    ("linkedin_url", "http://linkedin.com/in/Jane-Doe/?trk=x", "https://www.linkedin.com/in/jane-doe"),
    ("linkedin_url", "uk.linkedin.com/in/jane-doe", "https://www.linkedin.com/in/jane-doe"),
    ("linkedin_url", "//www.linkedin.com/in/jane-doe", "https://www.linkedin.com/in/jane-doe"),
    ("twitter_url", "https://mobile.twitter.com/JaneDoe", "https://x.com/janedoe"),
    ("twitter_url", "x.com/janedoe/", "https://x.com/janedoe"),
    ("linkedin_url", "https://netflix.com/Jobs", "https://netflix.com/Jobs"),
    ("employees", "250", 250),
    ("employees", 250.0, 250),
    ("employees", " 1e3 ", 1_000),
    ("annual_revenue", "12.5", 12.5),
    ("tech_stack", " Go ;;Rust; Go;n/a", ("Go", "Rust")),
    ("tech_stack", ["Kafka", " Kafka ", ""], ("Kafka",)),
]
BAD = [
    ("title", 5, "wrong_type"),
    ("title", "x" * 501, "too_long"),
    ("title", {"a": 1}, "wrong_type"),
    ("email", "jane at acme.com", "not_an_email"),
    ("email", "email_not_unlocked@domain.com", "locked_placeholder"),
    ("email", True, "wrong_type"),
    ("phone", "415 555 2671", "not_a_phone"),
    ("phone", "+1 12", "not_a_phone"),
    ("company_domain", "localhost", "not_a_domain"),
    ("company_domain", "10.0.0.1", "not_a_domain"),
    ("company_domain", "http://[::1", "not_a_domain"),
    ("company_domain", "co.uk", "not_a_domain"),
    ("linkedin_url", "http://[linkedin.com/in/x", "not_a_url"),
    ("linkedin_url", "javascript://linkedin.com/%0aalert(1)", "not_a_url"),
    ("linkedin_url", "https://linkedin.com/in/jane doe", "not_a_url"),
    ("linkedin_url", "jane-doe", "not_a_url"),
    ("linkedin_url", f"https://linkedin.com/{'x' * 2_000}", "too_long"),
    ("employees", True, "wrong_type"),
    ("employees", "51-200", "not_a_number"),
    ("employees", "1_000", "not_a_number"),
    ("employees", 2.5, "not_an_integer"),
    ("employees", 10**400, "out_of_range"),
    ("annual_revenue", "nan", "not_a_number"),
    ("annual_revenue", float("nan"), "out_of_range"),
    ("annual_revenue", "1e999", "out_of_range"),
    ("tech_stack", {"Go": 1}, "wrong_type"),
    ("tech_stack", [None], "wrong_type"),
    ("tech_stack", 7, "wrong_type"),
    ("tech_stack", [f"t{n}" for n in range(201)], "too_many"),
]


@pytest.mark.parametrize(("field", "raw", "expected"), GOOD)
def test_a_value_is_brought_into_the_form_of_its_field(field, raw, expected):
    found = normalise(field, raw)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("field", "raw", "reason"), BAD)
def test_what_does_not_fit_is_refused_with_a_stable_reason(field, raw, reason):
    with pytest.raises(InvalidValueError) as caught:
        normalise(field, raw)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    "field", ["title", "email", "phone", "company_domain", "linkedin_url", "employees", "tech_stack"]
)
@pytest.mark.parametrize("raw", [None, *sorted(NEVER_VALUES), " N/A ", "\x00", "none\x07"])
def test_nothing_is_nothing_in_every_kind_and_not_a_bad_value(field, raw):
    assert normalise(field, raw) is None


def test_a_list_without_texts_is_nothing():
    assert normalise("tech_stack", []) is None
    assert normalise("tech_stack", ["", "n/a"]) is None


def test_a_company_has_one_key_whether_its_domain_comes_from_an_address_or_a_url():
    """Incident in review: ``müller.de`` and ``xn--mller-kva.de`` were two companies."""
    address = str(normalise("email", "j@xn--mller-kva.de"))
    assert normalise_domain(address.rpartition("@")[2]) == normalise_domain("https://www.Müller.de")


def test_a_national_number_needs_its_region():
    assert normalise_phone("030 901820", "DE") == "+4930901820"


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("jane@gmail.com", "personal_email"),
        ("jane@GMAIL.com", "personal_email"),
        ("jane@mailinator.com", "disposable_email"),
        ("jane@acme.com", ""),
        ("jane@mail.google.com", ""),
    ],
)
def test_addresses_of_no_company_are_recognised(email, reason):
    assert personal_reason(email) == reason


@pytest.mark.parametrize(
    ("name", "compared"),
    [
        ("ACME,  Inc.", "acme"),
        ("Acme GmbH & Co. KG", "acme"),
        ("Müller Maschinenbau AG", "müller maschinenbau"),
        ("Limited", "limited"),  # a legal form alone is a name
        ("株式会社日立", "株式会社日立"),
        ("", ""),
    ],
)
def test_companies_are_compared_without_their_legal_form(name: str, compared: str) -> None:
    assert comparable_company(name) == compared
