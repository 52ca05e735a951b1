"""What may enter the field ledger: each rule with values that pass and values that do not."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichment_dagster.domain.fields import FIELDS, FieldValue
from enrichment_dagster.domain.normalise import InvalidValueError, normalise
from enrichment_dagster.schemas.candidates import RULE_SET_OF, CandidateValue, validate_values

_NOW = datetime(2026, 9, 21, tzinfo=UTC)
_NEXT_YEAR = datetime.now(UTC).year + 1


def _candidate(field: str, value: Any, confidence: Any = 0.9, work_id: str = "w1") -> CandidateValue:
    return work_id, FieldValue(field, value, "apollo", "email:ada@acme.example", _NOW, confidence)


def _reason(field: str, value: Any, confidence: Any = 0.9) -> str:
    kept, bad = validate_values([_candidate(field, value, confidence)])
    assert len(kept) + len(bad) == 1
    return bad[0][1] if bad else ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ada@acme.example"),
        ("email", "Ada.Lovelace+x@mail.acme.co.uk"),
        ("email", "ädä@müller.example"),
        ("email_status", "accept_all"),
        ("phone", "+493012345678"),
        ("phone", "+14155550100"),
        ("linkedin_url", "https://www.linkedin.com/in/ada-lovelace"),
        ("company_linkedin_url", "https://www.linkedin.com/company/acme"),
        ("twitter_url", "https://x.com/ada"),
        ("company_domain", "acme.co.uk"),
        ("company_domain", "müller.example"),
        ("employees", 1),
        ("employees", 5_000_000),
        ("founded_year", 1600),
        ("founded_year", _NEXT_YEAR),
        ("annual_revenue", 0),
        ("annual_revenue", 0.5),
        ("annual_revenue", 1e13),
        ("title", "x"),
        ("title", "x" * 500),
        ("country", "Côte d'Ivoire"),
        ("tech_stack", ["Python"]),
        ("tech_stack", ("Python", "DuckDB")),
        ("tech_stack", [f"tag {number}" for number in range(200)]),
        ("total_funding", 0),
        ("total_funding", 1e13),
        ("employee_growth", -1),
        ("employee_growth", 0.12),
        ("employee_growth", 100),
        ("intent_score", 0),
        ("intent_score", 100.0),
        ("intent_topics", ("ducks",)),
        ("research_summary", "x" * 5_000),
        ("executives", [{"name": "Ada"}]),
        ("executives", ({"name": "Ada", "title": "CTO", "linkedin_url": "x" * 2_000},)),
        ("account_contacts", [{"name": f"Person {number}"} for number in range(100)]),
        ("news", [{"title": "Acme grows", "published_at": "2026-09-01"}, {"title": "Acme shrinks"}]),
    ],
)
def test_good_values_are_kept(field: str, value: Any) -> None:
    assert _reason(field, value) == ""


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("email", "ada", "not_an_email"),
        ("email", "ada@acme", "not_an_email"),
        ("email", "ada@@acme.example", "not_an_email"),
        ("email", "a da@acme.example", "not_an_email"),
        ("email", "ada@acme.example\n", "not_an_email"),
        ("email", "ada@" + "a" * 60 + ".example" * 40, "too_long"),
        ("email", "", "not_an_email"),
        ("email_status", "probably", "not_a_status"),
        ("email_status", "VALID", "not_a_status"),
        ("phone", "030 12345", "not_e164"),
        ("phone", "+0123456", "not_e164"),
        ("phone", "+1234567890123456", "not_e164"),
        ("phone", "+49\u0663\u0660\u0661\u0662\u0663\u0664", "not_e164"),
        ("linkedin_url", "https://linkedin.com/in/ada", "not_on_linkedin"),
        ("linkedin_url", "https://www.linkedin.com", "not_on_linkedin"),
        ("linkedin_url", "https://www.linkedin.com.evil.example/in/ada", "not_on_linkedin"),
        ("linkedin_url", "http://www.linkedin.com/in/ada", "not_an_https_url; not_on_linkedin"),
        ("company_linkedin_url", "https://example.com/company/acme", "not_on_linkedin"),
        ("twitter_url", "javascript:alert(1)", "not_an_https_url"),
        ("twitter_url", "https://user@x.com/ada", "not_an_https_url"),
        ("twitter_url", "https://x.com/a b", "not_an_https_url"),
        ("twitter_url", "https://x.com/" + "a" * 2_000, "too_long"),
        ("company_domain", "https://acme.example", "not_a_domain"),
        ("company_domain", "acme", "not_a_domain"),
        ("company_domain", "-acme.example", "not_a_domain"),
        ("company_domain", "acme..example", "not_a_domain"),
        ("employees", 0, "out_of_range"),
        ("employees", -3, "out_of_range"),
        ("employees", 5_000_001, "out_of_range"),
        ("employees", 10**30, "out_of_range"),
        ("employees", "50", "wrong_type"),
        ("employees", 50.0, "wrong_type"),
        ("employees", True, "wrong_type"),
        ("founded_year", 1599, "out_of_range"),
        ("founded_year", _NEXT_YEAR + 1, "out_of_range"),
        ("annual_revenue", -0.01, "out_of_range"),
        ("annual_revenue", 1.1e13, "out_of_range"),
        ("annual_revenue", float("nan"), "out_of_range"),
        ("annual_revenue", float("inf"), "out_of_range"),
        ("annual_revenue", 10**400, "out_of_range"),
        ("annual_revenue", "1000", "wrong_type"),
        ("annual_revenue", False, "wrong_type"),
        ("title", "", "empty"),
        ("title", "   ", "empty"),
        ("title", "x" * 501, "too_long"),
        ("title", "C\x00TO", "control_characters"),
        ("title", "C\x85TO", "control_characters"),
        ("title", "C\nTO", "control_characters"),
        ("title", "\ud800", "not_unicode"),
        ("title", 42, "wrong_type"),
        ("title", None, "wrong_type"),
        ("title", b"CTO", "wrong_type"),
        ("title", ["CTO"], "wrong_type"),
        ("country", "x" * 501, "too_long"),
        ("tech_stack", [], "wrong_count"),
        ("tech_stack", [f"tag {number}" for number in range(201)], "wrong_count"),
        ("tech_stack", ["Python", ""], "bad_tag"),
        ("tech_stack", ["Py\x07thon"], "bad_tag"),
        ("tech_stack", ["x" * 501], "bad_tag"),
        ("tech_stack", ["Python", 3], "wrong_type"),
        ("tech_stack", ["Python", None], "wrong_type"),
        ("tech_stack", ["\udfff"], "not_unicode"),
        ("tech_stack", "Python", "wrong_type"),
        ("tech_stack", b"Python", "wrong_type"),
        ("tech_stack", {"Python": 1}, "wrong_type"),
        ("total_funding", -1, "out_of_range"),
        ("employee_growth", -1.01, "out_of_range"),
        ("employee_growth", 100.5, "out_of_range"),
        ("intent_score", -1, "out_of_range"),
        ("intent_score", 101, "out_of_range"),
        ("research_summary", "", "empty"),
        ("research_summary", "x" * 5_001, "too_long"),
        ("research_summary", "One.\nTwo.", "control_characters"),
        ("executives", [], "wrong_count"),
        ("executives", [{"name": f"Person {number}"} for number in range(101)], "wrong_count"),
        ("executives", [{"name": ""}], "bad_entry"),
        ("executives", [{"name": "Ada"}, {"name": "B\x00b"}], "bad_entry"),
        ("executives", [{"name": "x" * 2_001}], "bad_entry"),
        ("executives", [{"title": "CTO"}], "no_name"),
        ("executives", [{"name": "Ada", "shoe_size": "42"}], "unknown_key"),
        ("executives", [{"name": "Ada", "title": 1}], "wrong_type"),
        ("executives", [{"name": "Ada", "title": None}], "wrong_type"),
        ("executives", [{"name": "\ud800"}], "not_unicode"),
        ("executives", ["Ada"], "wrong_type"),
        ("executives", {"name": "Ada"}, "wrong_type"),
        ("executives", "Ada", "wrong_type"),
        ("news", [{"name": "Ada"}], "no_title"),
        ("shoe_size", 42, "unknown_field"),
    ],
)
def test_bad_values_are_put_aside_with_the_reason(field: str, value: Any, reason: str) -> None:
    assert _reason(field, value) == reason


@pytest.mark.parametrize("confidence", [0, 1, 0.0, 0.5, 1.0])
def test_good_confidences(confidence: float) -> None:
    assert _reason("title", "CTO", confidence) == ""


@pytest.mark.parametrize(
    ("confidence", "reason"),
    [
        (-0.1, "confidence: out_of_range"),
        (1.01, "confidence: out_of_range"),
        (float("nan"), "confidence: out_of_range"),
        (float("inf"), "confidence: out_of_range"),
        (10**400, "confidence: wrong_type"),
        ("0.9", "confidence: wrong_type"),
        (None, "confidence: wrong_type"),
        (True, "confidence: wrong_type"),
    ],
)
def test_bad_confidences(confidence: Any, reason: str) -> None:
    assert _reason("title", "CTO", confidence) == reason


def test_all_reasons_are_given() -> None:
    reasons = _reason("title", "\x00" + "x" * 600, 3.0).split("; ")
    assert sorted(reasons) == ["confidence: out_of_range", "control_characters", "too_long"]


def test_one_bad_value_takes_nothing_with_it() -> None:
    values = [_candidate("title", "CTO"), _candidate("employees", -1), _candidate("city", "Bonn", work_id="w2")]
    kept, bad = validate_values(values)
    assert kept == [values[0], values[2]]
    assert bad == [(values[1], "out_of_range")]


def test_lists_of_different_fields_are_checked_side_by_side() -> None:
    """They share a column though their entries have different keys."""
    values = [
        _candidate("executives", [{"name": "Ada", "title": "CTO"}]),
        _candidate("news", [{"title": "Acme grows"}, {"title": ""}]),
        _candidate("tech_stack", ["DuckDB"]),
        _candidate("news", [{"title": "Acme grows", "url": "https://acme.example"}]),
    ]
    assert validate_values(values) == ([values[0], values[2], values[3]], [(values[1], "bad_entry")])


def test_an_empty_batch() -> None:
    assert validate_values([]) == ([], [])


def test_a_batch_without_any_good_type() -> None:
    values = [_candidate("title", 1), _candidate("nope", 1)]
    assert validate_values(values) == ([], list(zip(values, ["wrong_type", "unknown_field"], strict=True)))


def test_every_field_of_the_catalogue_has_rules() -> None:
    assert set(RULE_SET_OF) == set(FIELDS)


_ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(st.characters(exclude_categories=()))
    | st.lists(st.text() | st.integers(), max_size=4)
    | st.lists(st.dictionaries(st.sampled_from(["name", "title", "url"]), st.text(), max_size=3), max_size=3)
    | st.sampled_from(["valid", "+493012345", "ada@acme.example", "acme.example", "https://www.linkedin.com/in/x"])
)
_CONFIDENCES = st.floats(0, 1) | st.floats() | st.none()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.builds(_candidate, st.sampled_from([*FIELDS, "shoe_size"]), _ANYTHING, _CONFIDENCES), max_size=30))
def test_kept_and_bad_are_the_input(values: list[CandidateValue]) -> None:
    kept, bad = validate_values(values)
    assert all(reason for _, reason in bad)
    where = {id(candidate) for candidate in kept} | {id(candidate) for candidate, _ in bad}
    assert where == {id(candidate) for candidate in values}
    assert len(kept) + len(bad) == len(values)
    order = {id(candidate): number for number, candidate in enumerate(values)}
    assert [order[id(one)] for one in kept] == sorted(order[id(one)] for one in kept)
    assert validate_values(kept) == (kept, [])


_RAW = (
    st.text()
    | st.integers(1, 10**9)
    | st.lists(st.text(), max_size=5)
    | st.lists(st.dictionaries(st.sampled_from(["name", "title", "url"]), st.text(), max_size=3), max_size=3)
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(FIELDS)), _RAW)
def test_what_normalisation_gives_is_never_of_a_wrong_type(field: str, raw: Any) -> None:
    try:
        value = normalise(field, raw)
    except InvalidValueError:
        return
    if value is not None:
        wrong = {"wrong_type", "unknown_key", "no_name", "no_title", "not_a_domain", "not_e164", "not_an_email"}
        assert _reason(field, value) not in wrong


def test_a_batch_of_500_leads_is_quick() -> None:
    values = [
        _candidate(field, "Bonn", work_id=f"w{number}")
        for number in range(500)
        for field in ("first_name", "last_name", "title", "city", "state", "country")
    ]
    validate_values(values)
    started = time.perf_counter()
    validate_values(values)
    assert time.perf_counter() - started < 2  # about 0.02 s; wide, because test machines are busy
