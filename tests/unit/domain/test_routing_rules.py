"""Routing rules: what they say of a lead, and what the configuration may say in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.environment import SMALL_CONFIG

from enrichment_dagster.domain.config import RoutingConfig
from enrichment_dagster.domain.expression_names import LEAD_NAMES, ROUTE_NAMES
from enrichment_dagster.domain.expressions import MAX_DEPTH, MAX_LENGTH, ExpressionError, parse
from enrichment_dagster.domain.routing import RoutingDecision, compile_rules
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.settings import parse_config

SHIPPED = parse_config((Path(__file__).parents[3] / "enrichment.yaml").read_text(encoding="utf-8")).routing
LEAD = {
    "title": "VP Sales",
    "seniority": "vp",
    "employees": 640,
    "annual_revenue": 5.5e6,
    "tech_stack": ("Salesforce", "Python"),
}


def holds(condition, values=None):
    rules = RoutingConfig.model_validate({"routes": [{"to": "there", "when": condition}]})
    return compile_rules(rules).decide(LEAD if values is None else values).route == "there"


def problems_of(condition, names=ROUTE_NAMES):
    with pytest.raises(ExpressionError) as caught:
        parse(condition, names)
    return caught.value.problems


# --- decisions -------------------------------------------------------------------------------------------------------


def test_the_rules_name_the_fields_that_they_ask_for():
    assert compile_rules(SHIPPED).fields == {"employees", "seniority", "tech_stack", "email_status"}


def test_the_shipped_rules_say_why():
    assert compile_rules(SHIPPED).decide(LEAD) == RoutingDecision(
        "mid_market",
        55,
        "inside_sales",
        (
            "segment mid_market: employees >= 100",
            "100 to 999 employees",
            "decision maker",
            "uses a CRM that we know",
            "route inside_sales: segment == 'mid_market' or score >= 30",
        ),
    )


def test_the_first_segment_and_the_first_route_count_and_all_scores():
    decision = compile_rules(SHIPPED).decide({**LEAD, "employees": 5_000, "email_status": "invalid"})
    assert (decision.segment, decision.score, decision.route) == ("enterprise", 40 + 20 + 10 - 30, "enterprise_team")
    assert [reason for reason in decision.reasons if reason.startswith("segment")] == [
        "segment enterprise: employees >= 1000"
    ]


def test_a_lead_of_whom_nothing_is_known_goes_the_default_way_without_a_reason():
    assert compile_rules(SHIPPED).decide({}) == RoutingDecision("unknown", 0, "round_robin")
    named = RoutingConfig(default_segment="new", default_route="inbox")
    assert compile_rules(named).decide(LEAD) == RoutingDecision("new", 0, "inbox")


def test_a_score_may_stay_below_zero_and_a_route_may_ask_for_it():
    rules = RoutingConfig.model_validate(
        {
            "score": [{"points": -30, "when": "title != ''", "reason": "known"}],
            "routes": [{"to": "nurture", "when": "score < 0 and segment == 'unknown'"}],
        }
    )
    decision = compile_rules(rules).decide(LEAD)
    assert (decision.score, decision.route) == (-30, "nurture")


# --- the language ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        "employees >= 640 and not employees > 640",
        "100 <= employees < 1000",
        "employees in [1, 640]",
        "employees not in (1, -2)",
        "title == 'VP Sales' or False",
        "'Sales' in title",
        "'Python' in tech_stack and 'Cobol' not in tech_stack",
        "annual_revenue / employees > 8000",
        "-employees + 2 * 320 == 0",
        "(employees > 100) == (title != '')",
        "seniority in [\n  'vp',\n  'owner'\n]",
        "title != 'O''Neil'",
        "True",
    ],
)
def test_conditions_that_hold(condition):
    assert holds(condition)


@pytest.mark.parametrize(
    "condition",
    [
        "phone == '1'",
        "phone != '1'",
        "phone in ['1']",
        "phone not in ['1']",
        "'1' not in phone",
        "'news' not in intent_topics",
        "founded_year + employees > 0",
        "founded_year * 0 == 0",
        "1900 < founded_year < 2100",
        "-founded_year < 0",
        "employees / (employees - 640) != 1",
        "annual_revenue * 1e300 * 1e300 > 1",
    ],
)
def test_what_is_missing_or_can_not_be_computed_makes_a_comparison_false(condition):
    assert not holds(condition)
    assert holds(f"not ({condition})")


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("employees >= 1", "640"),
        ("employees >= 1", True),
        ("employees >= 1", float("nan")),
        ("employees >= 1", 10**400),
        ("title != ''", 5),
        ("title != ''", ["VP"]),
        ("'VP' in tech_stack", "VP"),
        ("'VP' not in tech_stack", [{"name": "VP"}]),
    ],
)
def test_a_value_of_a_wrong_type_is_as_good_as_missing(condition, value):
    name = next(name for name in LEAD_NAMES if name in condition)
    assert not holds(condition, {name: value})


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("employes > 1", "no field is called employes (a text needs quotes); known are email, email_status, "),
        ("title != '' and true", "no field is called true (write True); known are "),
        ("employees >", "can't be read: "),
        ("employees = 5", "can't be read at character 11: "),
        ("title == '\\d'", "can't be read at character 10: invalid escape sequence"),
        ("", "can't be read"),
        ("\0", "can't be read"),
        ("employees", "employees is a number, not a condition: compare it with something"),
        ("title or True", "title is a text, not a condition: "),
        ("employees > '100'", "employees > '100' compares a number with a text, which never holds"),
        ("tech_stack == 'Python'", "tech_stack == 'Python' compares a list: ask with in, e.g. "),
        ("employees in tech_stack", "employees is a number, and is sought among texts"),
        ("'1' in employees", "employees is a number: in needs a list or a text to its right"),
        ("title in ['a', 1]", "['a', 1] mixes texts and numbers"),
        ("title in []", "[] is empty, so nothing is in it"),
        ("title in [industry]", "[industry] may hold texts and numbers only"),
        ("'a' in title == True", "'a' in title == True chains in with another comparison: "),
        ("(title == 'a') < True", "(title == 'a') < True puts conditions in an order: "),
        ("title is None", "None can't be compared: a missing field makes a comparison false; title != '' asks"),
        ("executives != ''", "executives is a list of entries, which rules can't look into"),
        ("len(title) > 3", "len(title) is not possible: nothing can be called; compare the field itself"),
        ("title.x == 'a'", "title.x is not possible: a field has no parts, so there are no dots"),
        ("tech_stack[0] == 'a'", "tech_stack[0] is not possible: nothing can be picked with [...]"),
        ("employees ** 2 > 1", "employees ** 2 is not possible: there are + - * / only"),
        ("'a' * 9 == 'a'", "'a' is a text, where a number is needed"),
        ("'a' + title == 'a'", "'a' is a text, where a number is needed"),
        ("(title == 'a') & True", "(title == 'a') & True is not possible: write and"),
        ("~employees == 1", "~employees is not possible: write not"),
        ("True if title == 'a' else False", "True if title == 'a' else False is not possible: there is no if"),
        (
            "[title for title in tech_stack] == 'a'",
            "[title for title in tech_stack] is not possible: a condition looks",
        ),
        ("(lambda: True)", "lambda: True is not possible: a condition looks like"),
        ("(title := 'a') == 'a'", "(title := 'a') is not possible: a condition looks like"),
        ("f'{title}' == 'a'", "f'{title}' is not possible: a condition looks like"),
        ("title == b'a'", "b'a' is not possible: a condition looks like"),
        ("employees > 9e300", "9e+300 is too large a number"),
        ("title == '\\n'", "'\\n' holds a control character, which no value has"),
        ("title == '\\ud800'", "'\\ud800' holds a control character, which no value has"),
        (f"title == '{'x' * MAX_LENGTH}'", f"has {MAX_LENGTH + 11} characters, {MAX_LENGTH} are possible: split it"),
        (f"{'-' * (MAX_DEPTH + 1)}1 > 0", f"is nested more than {MAX_DEPTH} deep: split it into several rules"),
        (f"{'(' * 240}True{')' * 240}", "can't be read"),
        (f"{'-' * 480}1 > 0", "is nested more than"),
    ],
)
def test_what_is_not_in_the_language_is_refused_in_words_that_say_what_to_change(condition, problem):
    assert problems_of(condition)[0].startswith(problem)


def test_segment_and_score_are_known_in_routes_only():
    assert problems_of("score > 1 and segment == 'a'", LEAD_NAMES) == [
        "score is known in routes only",
        "segment is known in routes only",
    ]


def test_a_condition_tells_all_its_problems_once_each():
    assert [
        problem.partition("; known")[0] for problem in problems_of("firma == 'a' or len(firma) > 2 or title + 1")
    ] == [
        "no field is called firma (a text needs quotes)",
        "len(firma) is not possible: nothing can be called; compare the field itself",
        "title is a text, where a number is needed",
        "title + 1 is a number, not a condition: compare it with something",
    ]


# --- in the file -----------------------------------------------------------------------------------------------------


def test_all_mistakes_in_rules_are_reported_at_their_lines():
    text = f"""{SMALL_CONFIG}
routing:
  segments:
    - {{name: big, when: employes >= 1000}}
    - {{name: all, when: true}}
  score:
    - {{points: 10, when: segment == 'big', reason: big}}
    - {{points: 5000, when: employees >= '5', reason: ""}}
  routes:
    - {{to: sales, when: "segment == 'bog' or segment in ['big', 'unknown', 'huge']"}}
    - {{to: "", when: [1]}}
"""
    first = len(SMALL_CONFIG.splitlines()) + 4
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text)
    assert [problem.partition("; known are")[0] for problem in caught.value.problems] == [
        f"line {first}: routing.segments.0.when: no field is called employes (a text needs quotes)",
        f"line {first + 3}: routing.score.0.when: segment is known in routes only",
        f"line {first + 4}: routing.score.1.points: must be less than or equal to 1000",
        f"line {first + 4}: routing.score.1.when: employees >= '5' compares a number with a text, which never holds",
        f"line {first + 4}: routing.score.1.reason: String should have at least 1 character",
        f"line {first + 6}: routing.routes.0.when: no segment is called bog",
        f"line {first + 6}: routing.routes.0.when: no segment is called huge",
        f"line {first + 7}: routing.routes.1.to: String should have at least 1 character",
        f"line {first + 7}: routing.routes.1.when: must be a valid string",
    ]


def test_the_default_segment_is_a_segment_too():
    text = f"{SMALL_CONFIG}routing: {{default_segment: rest, routes: [{{to: sales, when: segment == 'rest'}}]}}"
    assert parse_config(text).routing.routes[0].to == "sales"
