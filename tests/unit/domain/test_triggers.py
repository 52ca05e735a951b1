"""What is decided at the door: which events are worth an enrichment, and the reason given for all others."""

import pytest

from enrichment_dagster.domain.triggers import TriggerRules, Triggers

TRIGGERS = Triggers(
    {
        "lead_created": TriggerRules(),
        "opportunity_stage_changed": TriggerRules(stages=("Negotiation", "contractsent")),
        "website_visit": TriggerRules(pages=("/pricing*", "/demo")),
        "intent_signal": TriggerRules(min_score=60, topics=("CRM",)),
        "data_quality": TriggerRules(problems=("hard_bounce", "disconnected")),
    }
)


@pytest.mark.parametrize(
    ("event_type", "attributes", "reason"),
    [
        ("lead_created", {}, ""),
        ("opportunity_stage_changed", {"stage": "negotiation"}, ""),
        ("opportunity_stage_changed", {"stage": "Prospecting"}, "stage_not_configured"),
        ("opportunity_stage_changed", {}, "stage_not_configured"),
        ("website_visit", {"page": "/pricing/enterprise", "email": "jo@acme.com"}, ""),
        ("website_visit", {"page": "/pricing", "known_record": "hubspot:contact:1"}, ""),
        ("website_visit", {"page": "/pricing"}, "anonymous_visitor"),
        ("website_visit", {"page": "/blog/pricing", "email": "jo@acme.com"}, "page_not_configured"),
        ("website_visit", {"page": "/demo/2", "email": "jo@acme.com"}, "page_not_configured"),
        ("intent_signal", {"topic": "crm", "score": 60}, ""),
        ("intent_signal", {"topic": "crm", "score": 59.9}, "below_threshold"),
        ("intent_signal", {"topic": "crm", "score": True}, "below_threshold"),
        ("intent_signal", {"topic": "crm"}, "below_threshold"),
        ("intent_signal", {"topic": "erp", "score": 99}, "topic_not_configured"),
        ("data_quality", {"problem": "hard_bounce"}, ""),
        ("data_quality", {"problem": "soft_bounce"}, "soft_bounce"),
        ("data_quality", {"problem": "Opened"}, "not_a_problem"),
        ("data_quality", {}, "not_a_problem"),
    ],
)
def test_an_event_triggers_or_has_its_reason(event_type, attributes, reason):
    assert TRIGGERS.judge(event_type, attributes) == (event_type, reason)


@pytest.mark.parametrize("event_type", [None, "contact_associated", "ticket_closed"])
def test_a_type_that_is_not_configured_is_recorded_as_unsupported(event_type):
    assert TRIGGERS.judge(event_type, {}) == ("unsupported", "unsupported_event_type")


def test_rules_without_conditions_take_everything():
    triggers = Triggers({"opportunity_stage_changed": TriggerRules(), "intent_signal": TriggerRules()})
    assert triggers.judge("opportunity_stage_changed", {}) == ("opportunity_stage_changed", "")
    assert triggers.judge("intent_signal", {"score": 0}) == ("intent_signal", "")


def test_an_empty_list_of_problems_takes_every_problem_and_nothing_else():
    triggers = Triggers({"data_quality": TriggerRules()})
    assert triggers.judge("data_quality", {"problem": "soft_bounce"}) == ("data_quality", "")
    assert triggers.judge("data_quality", {"problem": "Opened"}) == ("data_quality", "not_a_problem")
