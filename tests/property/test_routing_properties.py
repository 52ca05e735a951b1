"""A lead's decision and its row in the view ``lead_scores`` are the same, whatever the rules and the record."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from enrichment_dagster.domain.config import RoutingConfig
from enrichment_dagster.domain.expression_names import ROUTE_NAMES
from enrichment_dagster.domain.expressions import Expression, ExpressionError, parse
from enrichment_dagster.domain.fields import FIELDS, Level
from enrichment_dagster.domain.routing import RoutingDecision, compile_rules
from enrichment_dagster.store.lead_scores import lead_scores_sql
from enrichment_dagster.store.warehouse_sql import schema_versions, sql

# Few values, so that they meet; quotes, SQL and template characters, look-alikes, characters outside the first plane.
TEXTS = [
    "",
    "VP",
    "vp",
    "O'Neil",
    '"',
    "''; DROP VIEW lead_scores; --",
    "$segment",
    "%",
    "\\",
    "é",
    "e\u0301",
    "ß",
    "🚀",
    "z",
]
WHOLE = [0, 1, 99, 100, 1000, -1, 2**53 + 1, 2**63 - 1]
FRACTIONS = [0.0, -0.0, 0.1, 0.3, 1e300, -1e300, 99.99999999999999, 5e-324]
NUMBER_NAMES = ["employees", "founded_year", "annual_revenue", "intent_score"]
TEXT_NAMES = ["title", "seniority", "industry", "company_domain", "email"]
LIST_NAMES = ["tech_stack", "intent_topics"]

texts = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=4)
numbers = st.sampled_from([*WHOLE, *FRACTIONS]) | st.floats(-1e300, 1e300) | st.integers(-(2**63), 2**63 - 1)


def joined(separators: list[str], parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda left, by, right: f"({left} {by} {right})", parts, st.sampled_from(separators), parts)


def listed(members: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.lists(members, min_size=1, max_size=3).map(repr)


def conditions(*, routes: bool) -> st.SearchStrategy[str]:
    number_names, text_names = [*NUMBER_NAMES, *["score"] * routes], [*TEXT_NAMES, *["segment"] * routes]
    number = st.recursive(
        st.sampled_from(number_names) | numbers.map(repr),
        lambda parts: joined(["+", "-", "*", "/"], parts) | parts.map(lambda part: f"-{part}"),
        max_leaves=4,
    )
    text = st.sampled_from(text_names) | texts.map(repr)
    order, membership = ["==", "!=", "<", "<=", ">", ">="], ["in", "not in"]
    comparison = (
        joined(order, number)
        | joined(order, text)
        | st.builds(lambda a, op, b, op2, c: f"{a} {op} {b} {op2} {c}", *[number, st.sampled_from(order)] * 2, number)
        | st.builds("{} {} {}".format, text, st.sampled_from(membership), text | st.sampled_from(LIST_NAMES))
        | st.builds("{} {} {}".format, text, st.sampled_from(membership), listed(texts))
        | st.builds("{} {} {}".format, number, st.sampled_from(membership), listed(numbers))
        | st.sampled_from(["True", "False"])
    )
    return st.recursive(
        comparison.map(lambda part: f"({part})"),
        lambda parts: joined(["and", "or", "==", "!="], parts) | parts.map(lambda part: f"(not {part})"),
        max_leaves=4,
    )


lead_condition, route_condition = conditions(routes=False), conditions(routes=True)
rules = st.fixed_dictionaries(
    {
        "segments": st.lists(st.fixed_dictionaries({"name": texts, "when": lead_condition}), max_size=3),
        "score": st.lists(
            st.fixed_dictionaries({"points": st.integers(-1000, 1000), "when": lead_condition, "reason": texts}),
            max_size=4,
        ),
        "routes": st.lists(st.fixed_dictionaries({"to": texts, "when": route_condition}), max_size=3),
    }
)
endless = st.sampled_from([math.inf, -math.inf, math.nan])
_OF_FIELD = {
    "title": texts,
    "seniority": texts,
    "industry": texts,
    "tech_stack": st.lists(texts, max_size=3),
    "intent_topics": st.lists(texts, max_size=3),
    "employees": st.sampled_from(WHOLE) | st.integers(-(2**63), 2**63 - 1),
    "founded_year": st.sampled_from(WHOLE),
    "annual_revenue": numbers.map(float) | endless,
    "intent_score": st.sampled_from(FRACTIONS) | endless,
}
records = st.fixed_dictionaries({}, optional=_OF_FIELD)


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for _, name in schema_versions():
            connection.execute(sql(name))
        yield connection


def configured(raw: dict[str, Any]) -> RoutingConfig:
    for rule in [*raw["segments"], *raw["score"], *raw["routes"]]:
        for name in {"name", "reason", "to"} & rule.keys():
            rule[name] = rule[name] or "-"
        try:
            parse(rule["when"], ROUTE_NAMES)
        except ExpressionError as error:
            assume("500" not in str(error) and "deep" not in str(error))
            raise
    return RoutingConfig.model_validate(raw)


def store(database: duckdb.DuckDBPyConnection, number: int, values: dict[str, Any]) -> None:
    """Store a record as the projector does: a person, and the company of the same domain."""
    domain = f"{number}.example"
    for table, level, key in [
        ("contacts", Level.CONTACT, f"email:{values['email']}"),
        ("companies", Level.COMPANY, f"domain:{domain}"),
    ]:
        row = {name: found for name, found in values.items() if FIELDS[name].level is level}
        row |= {"subject_key": key, "provenance": "{}", "company_domain": domain}
        names = ", ".join(row)
        places = ", ".join(f"${name}" for name in row)
        database.execute(
            f"INSERT INTO {table} ({names}, first_seen_at, updated_at) VALUES ({places}, now(), now())", row
        )


@settings(max_examples=100, deadline=None)
@given(raw=rules, found=st.lists(records, min_size=1, max_size=4))
def test_the_view_decides_as_the_gateway_does(
    database: duckdb.DuckDBPyConnection, raw: dict[str, Any], found: list[dict[str, Any]]
) -> None:
    config = configured(raw)
    decide = compile_rules(config).decide
    database.execute("DELETE FROM contacts; DELETE FROM companies")
    database.execute(lead_scores_sql(config))
    expected = {}
    for number, record in enumerate(found):
        values = {**record, "email": f"p{number}@x.example", "company_domain": f"{number}.example"}
        expected[values["email"]] = decide(values)
        store(database, number, values)
    rows = database.execute("SELECT email, segment, score, route, reasons FROM lead_scores").fetchall()
    assert {row[0]: RoutingDecision(*row[1:4], tuple(row[4])) for row in rows} == expected


def outcome(text: str) -> Expression | list[str]:
    try:
        return parse(text, ROUTE_NAMES)
    except ExpressionError as error:
        return error.problems


@given(text=st.text(max_size=40) | lead_condition.map(lambda text: text[:-1]))
def test_any_text_is_a_condition_or_says_what_to_change(text: str) -> None:
    assert outcome(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=2),
    max_leaves=5,
)


@given(condition=route_condition, values=st.fixed_dictionaries({}, optional=dict.fromkeys(_OF_FIELD, json_values)))
def test_no_value_of_any_type_makes_a_decision_fail(condition: str, values: dict[str, Any]) -> None:
    raw = {"segments": [], "score": [], "routes": [{"to": "sales", "when": condition}]}
    assert compile_rules(configured(raw)).decide(values).route in {"sales", "round_robin"}
