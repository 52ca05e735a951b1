"""Between our fields and a CRM's properties."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enrichment_dagster.crm.mapping import from_properties, plan_write, to_properties
from enrichment_dagster.crm.values import MAX_LIST_TEXT, entries_text, for_hubspot, for_salesforce, same
from enrichment_dagster.domain.fields import ENTRIES
from enrichment_dagster.domain.normalise import normalise
from enrichment_dagster.settings import load_settings

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "data" / "golden"
CRM = load_settings({"ENRICHMENT_CONFIG": str(ROOT / "enrichment.yaml")}).config.crm
KINDS = {"hubspot": "contact", "salesforce": "lead"}
VALUES = {
    "email": "dana.reyes@northwind-parts.com",
    "email_status": "valid",
    "first_name": "Dana",
    "last_name": "Reyes",
    "title": "VP Operations",
    "seniority": "vp",
    "phone": "+14155550132",
    "country": "United States",
    "linkedin_url": "https://www.linkedin.com/in/dana-reyes-example",
    "company_name": "Northwind Parts",
    "company_domain": "northwind-parts.com",
    "industry": "industrial automation",
    "employees": 640,
    "annual_revenue": 120_000_000.0,
    "founded_year": 2009,  # has no property in the configuration
    "tech_stack": ("Salesforce", "HubSpot"),
}

LISTS = {
    "total_funding": 42_500_000.0,
    "competitors": ("Fabrikam", "Contoso"),
    "executives": (
        {"name": "Dana Reyes", "title": "VP Operations, EMEA", "email": "dana.reyes@northwind-parts.com"},
        {"name": "Sam Oduya"},
    ),
    "news": (
        {"title": "Northwind, at last, expands", "url": "https://news.example/1", "category": "growth"},
        {"title": "Northwind hires, again"},
    ),
    "research_summary": "Northwind makes parts for robots. It has three plants.",
}
"""Fields that the shipped configuration maps to nothing; whoever wants them names a long text area."""

every_system = pytest.mark.parametrize("system", KINDS)


def config(system):
    return CRM.object_config(system, KINDS[system])


@every_system
def test_properties_are_those_of_the_golden_file(system):
    """After a wanted change: ``UPDATE_GOLDEN=1 pytest tests/unit/crm`` and read the difference."""
    found = to_properties(VALUES, config(system), system)
    path = GOLDEN / f"{system}-properties.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    assert found == json.loads(path.read_text(encoding="utf-8"))


def account(system):
    """Return a configuration that maps the list fields as well."""
    return config(system).model_copy(update={"mapping": {name: f"{name}__c" for name in LISTS}})


@every_system
def test_lists_and_long_texts_are_those_of_the_golden_file(system):
    found = to_properties(LISTS, account(system), system)
    path = GOLDEN / f"{system}-lists.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    assert found == json.loads(path.read_text(encoding="utf-8"))


@every_system
def test_lists_read_back_are_known_and_make_the_same_text_again(system):
    """What a CRM holds counts as filled: a list that was written is not bought a second time."""
    written = to_properties(LISTS, account(system), system)
    known = {name: normalise(name, value) for name, value in from_properties(written, account(system)).items()}
    assert set(known) == set(LISTS)
    assert to_properties(known, account(system), system) == written
    assert known["executives"] == ({"name": "Dana Reyes", "title": "VP Operations, EMEA"}, {"name": "Sam Oduya"})
    assert known["news"][0] == {"title": "Northwind, at last, expands", "url": "https://news.example/1"}
    assert known["news"][1] == {"title": "Northwind hires, again"}


@every_system
def test_a_long_list_is_cut_after_a_whole_entry_and_is_not_read_back(system):
    """The rest of it would be lost if the shorter list counted as what is known."""
    people = [{"name": f"Person {number}", "title": "x" * 200} for number in range(100)]
    written = to_properties({"executives": people}, account(system), system)
    text = written["executives__c"]
    assert MAX_LIST_TEXT - 300 < len(text) <= MAX_LIST_TEXT
    assert text.endswith("x; \u2026")
    assert from_properties(written, account(system)) == {}


people_lists = st.lists(
    st.dictionaries(st.sampled_from(ENTRIES["executives"]), st.text("ab,; \u2026", max_size=8), min_size=1), max_size=5
)


@example([{"name": "a ; ;"}])
@given(people_lists)
def test_any_list_that_is_read_back_makes_the_same_text_again(raw):
    entries = normalise("executives", raw)
    if entries is None:
        return
    known = from_properties(to_properties({"executives": entries}, account("hubspot"), "hubspot"), account("hubspot"))
    again = normalise("executives", known.get("executives"))
    if again is not None:
        assert entries_text(again, ENTRIES["executives"]) == entries_text(entries, ENTRIES["executives"])


@every_system
def test_fields_survive_the_way_there_and_back(system):
    back = from_properties(to_properties(VALUES, config(system), system), config(system))
    expected = {name: value for name, value in VALUES.items() if name in config(system).mapping}
    assert set(back) == set(expected)
    assert all(same(back[name], value) for name, value in expected.items())
    assert back["tech_stack"] == ["Salesforce", "HubSpot"]


@every_system
@pytest.mark.parametrize("blank", [None, "", "  ", "n/a", "[not provided]", "Unknown", []])
def test_blank_properties_are_absent(system, blank):
    properties = dict.fromkeys(config(system).mapping.values(), blank)
    assert from_properties(properties, config(system)) == {}
    assert from_properties({}, config(system)) == {}


@pytest.mark.parametrize("stored", [None, "", " ", "[not provided]"])
def test_empty_properties_are_filled(stored):
    plan = plan_write({"a": stored}, {"a": "x"}, {})
    assert (plan.to_write, plan.kept) == ({"a": "x"}, {})


def test_filled_properties_are_left_alone():
    plan = plan_write({"a": "theirs", "b": 0, "c": False}, {"a": "ours", "b": 5, "c": True}, {})
    assert (plan.to_write, plan.kept) == ({}, {"a": "filled", "b": "filled", "c": "filled"})


def test_exactly_the_value_that_is_known_to_be_wrong_is_replaced():
    """What somebody has typed in its place meanwhile stays."""
    outdated = {"a": "old@acme.com", "b": "old"}
    plan = plan_write({"a": " old@acme.com", "b": "typed"}, {"a": "new@acme.com", "b": "new"}, {}, outdated)
    assert (plan.to_write, plan.kept) == ({"a": "new@acme.com"}, {"b": "filled"})


def test_assigned_properties_are_set_when_they_differ():
    plan = plan_write({"a": "x", "b": "y"}, {}, {"a": "x", "b": "z", "c": "new"})
    assert (plan.to_write, plan.kept) == ({"b": "z", "c": "new"}, {"a": "equal"})


def test_none_is_never_written_and_clearing_what_is_clear_is_nothing():
    plan = plan_write({"a": "x"}, {"a": None, "b": None}, {"a": None, "c": ""})
    assert (plan.to_write, plan.kept) == ({}, {"c": "equal"})


def test_what_is_assigned_is_not_filled():
    assert plan_write({}, {"a": "fill"}, {"a": "assign"}).to_write == {"a": "assign"}


@pytest.mark.parametrize(
    ("stored", "ours"),
    [
        ("640", 640), ("640.0", 640), (640.0, "640"), ("1.2E8", 120_000_000.0), (True, "true"), (None, ""),
        ("HubSpot;Salesforce", ["Salesforce", "HubSpot"]), (" x ", "x"),
        ("2026-09-21T12:53:25.104Z", "2026-09-21T12:53:25Z"),
        ("2026-09-21T12:53:25.000+0000", "2026-09-21T12:53:25Z"),
        ("2026-09-21T14:53:25+02:00", datetime(2026, 9, 21, 12, 53, 25, 999, tzinfo=UTC)),
        ("1790081605000", "2026-09-22T12:53:25Z"),
    ],
)  # fmt: skip
def test_equal_as_the_crm_stores_it(stored, ours):
    assert same(stored, ours)
    assert same(ours, stored)


@pytest.mark.parametrize(
    ("stored", "ours"),
    [
        ("+14155550100", "14155550100"), ("01234", "1234"), ("640", 641), ("a", "A"), ("a;b", "a"), ("", 0),
        ("2026-09-21T12:53:25Z", "2026-09-21T12:53:26Z"), ("2026-99-21T12:53:25Z", "2026-09-21T12:53:25Z"),
    ],
)  # fmt: skip
def test_not_equal(stored, ours):
    assert not same(stored, ours)


@given(st.one_of(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()))
def test_what_was_written_is_never_written_again(value):
    for encode in (for_hubspot, for_salesforce):
        assert same(encode(value), value)


@given(st.dictionaries(st.sampled_from("abcd"), st.text()), st.dictionaries(st.sampled_from("abcd"), st.text()))
def test_filling_twice_writes_once(current, fill):
    plan = plan_write(current, fill, {})
    after = {**current, **plan.to_write}
    again = plan_write(after, fill, {})
    assert all(
        after[name] == value or not value.strip() or name in again.to_write for name, value in plan.to_write.items()
    )
    assert not set(again.to_write) - {n for n, v in fill.items() if same("", v) or v.strip().lower() in NOTHING}


NOTHING = {"", "n/a", "na", "none", "null", "unknown", "-", "--", "tbd", "[not provided]"}
