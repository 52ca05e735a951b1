"""``enrichment.yaml``: all problems at once, each with its place, its line and what to change."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.environment import SMALL_CONFIG

from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.providers.registry import provider_problems
from enrichment_dagster.settings import load_settings, missing_secrets, parse_config

SHIPPED = Path(__file__).parents[3] / "enrichment.yaml"


def changed(*changes: tuple[str, str]) -> str:
    text = SMALL_CONFIG
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text)
    return [problem.partition("; known are")[0] for problem in caught.value.problems]


def test_the_shipped_file_is_valid():
    config = parse_config(SHIPPED.read_text(encoding="utf-8"))
    assert config.event_types["lead_created"].lanes.standard.fields[0] == "email"
    assert config.crm.object_config("salesforce", "lead") is not None


def test_the_small_file_of_the_tests_is_valid_and_complete_by_defaults():
    config = parse_config(SMALL_CONFIG)
    assert config.retry.attempts == 4
    assert config.runs.max_batch == 500
    assert config.crm.object_config("salesforce", "lead") is None


def test_groups_are_resolved_without_repeats():
    config = parse_config(changed(("[email, title, company_name]", "[title, contact, verification]")))
    assert config.event_types["lead_created"].lanes.standard.fields == (
        "title", "email", "first_name", "last_name", "seniority", "city", "state", "country", "email_status",
    )  # fmt: skip


def test_all_problems_are_reported_at_once_those_inside_entries_and_those_between_them():
    """An operator who fixes one problem only to be told of the next one gives up on the third."""
    text = changed(
        ("[email, title, company_name]", "[email, titel, company_name]"),
        ("apollo.person, clearbit.combined", "apollo.person, clearbit.combi"),
        ("latency_target_seconds: 60", "latency_target_seconds: 20"),
        ("price_usd: 0.05", "price_usd: -1"),
        ("title: jobtitle", "title: email"),
        ("company_name: company", "firma: company"),
        ("client_secret_envs: [HUBSPOT_CLIENT_SECRET]", "client_secret_envs: []\n    tolerance: 3"),
    )
    assert problems(text) == [
        "line 6: event_types.lead_created.lanes.standard.deadline_seconds: must be smaller than "
        "latency_target_seconds (20), which includes waiting; it is 25",
        "line 7: event_types.lead_created.lanes.standard.wanted.1: no field or group is called titel",
        "line 8: event_types.lead_created.lanes.standard.waterfall.1: no provider offers clearbit.combi",
        "line 19: providers.clearbit.lookups.combined.price_usd: must be greater than or equal to 0",
        "line 24: crm.hubspot.objects.contact.mapping.firma: no field is called firma",
        "line 24: crm.hubspot.objects.contact.mapping: mapping.email and mapping.title go to the same property, email",
        "line 33: intake.hubspot.client_secret_envs: List should have at least 1 item after validation, not 0",
        "line 34: intake.hubspot.tolerance: there is no such entry",
    ]


def test_of_an_entry_that_there_is_not_the_ones_that_there_are_are_told():
    text = changed(("price_usd: 0.05", "price: 0.05"), ("version: 1", "version: 1\nbudgets: {}"))
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text)
    top, missing, wrong = caught.value.problems
    assert top.startswith("line 2: budgets: there is no such entry; known are version, event_types, providers, crm,")
    assert missing == "line 20: providers.clearbit.lookups.combined.price_usd: is missing"
    assert wrong.startswith(
        "line 20: providers.clearbit.lookups.combined.price: there is no such entry; known are price_usd, charge, "
    )


def test_properties_are_named_as_the_apis_name_them_and_each_has_one_owner():
    """A label in place of a name is refused at every write; a property of two fields is overwritten by one of them."""
    text = changed(("title: jobtitle", 'title: "Job title"'), ("contact:", "contact:\nROUTING"))
    text = text.replace("ROUTING", "        routing: {segment: company, route: email}")
    name, *same = problems(text)
    assert name.startswith("line 25: crm.hubspot.objects.contact.mapping.title: ")
    assert name.endswith("a property's internal name, as the CRM's API has it: letters, digits and _")
    assert [problem.partition(".mapping: ")[2] for problem in same] == [
        "mapping.company_name and routing.segment go to the same property, company",
        "mapping.email and routing.route go to the same property, email",
    ]


def test_what_only_the_vendors_know_is_reported_with_all_the_rest():
    """A file that is called right must not be refused when the first event comes."""
    text = changed(
        ("apollo.person, clearbit.combined", "apollo.persona, clearbit.combined, nobody.person"),
        ("      person:", "      persona:"),
        ("price_usd: 0.05", "price_usd: -1"),
        ("https://api.apollo.io", "http://api.apollo.io"),
        (
            "crm:\n",
            "  nobody: {base_url: https://nobody.example, api_key_env: NOBODY, lookups: {person: {price_usd: 1}}}\n"
            "  ai: {base_url: https://ai.example, api_key_env: AI, lookups: {research: {price_usd: 1}}}\n"
            "crm:\n",
        ),
    )
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text, provider_problems)
    assert [problem.partition("; known are")[0] for problem in caught.value.problems] == [
        "line 11: providers.apollo.base_url: the base URL must be https:// (keys would travel unencrypted)",
        "line 14: providers.apollo.lookups.persona: no such lookup",
        "line 19: providers.clearbit.lookups.combined.price_usd: must be greater than or equal to 0",
        "line 20: providers.nobody: no such provider",
        "line 21: providers.ai.model: is missing: name the model that is to be asked",
    ]


def test_a_lookup_that_takes_too_long_for_the_routing_lane_is_reported():
    routing = "{wanted: [email], waterfall: [apollo.person], orders: {email: [hunter.email]}, deadline_seconds: 2}"
    hunter = "  hunter: {base_url: https://hunter.example, api_key_env: HUNTER, lookups: {email: {price_usd: 1}}}\n"
    text = changed(("      standard:", f"      routing: {routing}\n      standard:"), ("crm:\n", f"{hunter}crm:\n"))
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text, provider_problems)
    place = "event_types.lead_created.lanes.routing.orders.email.0"
    assert caught.value.problems == (f"line 6: {place}: hunter.email can't answer in time",)
    parse_config(text.replace("hunter: {", "hunter: {enabled: false, "), provider_problems)


def test_the_shipped_file_is_right_to_the_vendors_as_well():
    parse_config(SHIPPED.read_text(encoding="utf-8"), provider_problems)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("version: 1", "version: 2", "line 1: version: must be 1"),
        ("version: 1\n", "", "version: is missing"),
        ("  lead_created:", "  Lead-Created:", "line 3: event_types.Lead-Created: must be a name: small"),
        ("email: email, ", "", "line 24: crm.hubspot.objects.contact.mapping: email is missing"),
        ("status: enrichment_status", "status: company", "line 24: crm.hubspot.objects.contact.mapping: "),
        (
            "api_key_env: APOLLO_API_KEY",
            "api_key_env: secret",
            "line 12: providers.apollo.api_key_env: must be the name of an",
        ),
        (
            "price_usd: 0.02",
            "price_usd: cheap",
            "line 14: providers.apollo.lookups.person.price_usd: must be a",
        ),
        ("https://api.apollo.io", "api.apollo.io", "line 11: providers.apollo.base_url: must be a valid URL"),
        (
            "      contact:",
            "      ticket:",
            "line 23: crm.hubspot.objects.ticket: must be 'contact', 'company' or 'deal'",
        ),
        ("      contact:", "      deal:", "line 24: crm.hubspot.objects.deal.mapping.email: email is of one person"),
        (
            "contact:\n        mapping: {email: email, title: jobtitle, company_name: company}",
            "company:\n        mapping: {company_name: name}",
            "line 24: crm.hubspot.objects.company.mapping: company_domain is missing",
        ),
        (
            "[email, title, company_name]",
            "email",
            "line 7: event_types.lead_created.lanes.standard.wanted: must be a list",
        ),
        ("version: 1", "version: 1\nretry: 3", "line 2: retry: must have entries of its own, each as name: value"),
        ("  clearbit:", "  apollo:", "line 15: providers.apollo: stands here for the second time"),
    ],
)
def test_a_single_mistake_is_shown_at_its_line(old, new, expected):
    assert any(problem.startswith(expected) for problem in problems(changed((old, new)))), problems(changed((old, new)))


POLICY = "latency_target_seconds: 60\n    policy: {"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("recheck: [titel]}", "line 5: event_types.lead_created.policy.recheck.0: no field or group is called titel"),
        (
            "debounce_seconds: 60}",
            "line 5: event_types.lead_created.policy.debounce_seconds: must be smaller than latency",
        ),
        ("cooldown_seconds: -1}", "line 5: event_types.lead_created.policy.cooldown_seconds: must be greater"),
        (
            "skip_domains: [https://acme.com]}",
            "line 5: event_types.lead_created.policy.skip_domains.0: must be a domain",
        ),
        ("needs: phone}", "line 5: event_types.lead_created.policy.needs: must be 'email' or 'domain'"),
    ],
)
def test_a_mistake_in_a_policy_is_shown_at_its_line(policy, expected):
    found = problems(changed(("latency_target_seconds: 60", POLICY + policy)))
    assert [problem for problem in found if problem.startswith(expected)], found


def test_a_policy_may_name_groups_of_fields():
    text = changed(("latency_target_seconds: 60", f"{POLICY}recheck: [verification, title]}}"))
    assert parse_config(text).event_types["lead_created"].policy.rechecked == ("email_status", "title")


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("version: [", "line 1: not YAML: "),
        ("a: 1\n b: 2", "line 2: not YAML: "),
        ("", "enrichment.yaml: must have entries of its own"),
        ("- 1", "enrichment.yaml: must have entries of its own"),
    ],
)
def test_a_file_that_is_no_configuration_at_all_says_so(text, start):
    assert problems(text)[0].startswith(start)


def test_only_records_of_people_need_a_status():
    status = SMALL_CONFIG[SMALL_CONFIG.index("        status:\n") : SMALL_CONFIG.index("intake:")]
    assert problems(changed((status, ""))) == [
        "line 23: crm.hubspot.objects.contact.status: is missing: name the properties that say how the enrichment went"
    ]
    more = "      company: {mapping: {company_domain: domain}}\n      deal: {mapping: {}}\n"
    config = parse_config(changed((status, f"{status}{more}")))
    assert config.crm.object_config("hubspot", "deal").status is None


def test_the_error_reads_as_a_list():
    with pytest.raises(ConfigurationError) as caught:
        parse_config(changed(("version: 1", "version: 2")))
    assert str(caught.value) == "1 problem in the configuration:\n  - line 1: version: must be 1"


def test_a_missing_file_says_which_variable_to_set(tmp_path):
    with pytest.raises(ConfigurationError, match="set ENRICHMENT_CONFIG to your"):
        load_settings({"ENRICHMENT_CONFIG": str(tmp_path / "nowhere.yaml")})


def test_every_secret_that_is_named_and_absent_is_reported_and_blank_is_absent(make_settings):
    assert missing_secrets(make_settings()) == []
    assert missing_secrets(make_settings(APOLLO_API_KEY=" ", HUBSPOT_CLIENT_SECRET="")) == [
        "set the environment variable APOLLO_API_KEY (providers.apollo needs it)",
        "set the environment variable HUBSPOT_CLIENT_SECRET (intake.hubspot needs it)",
    ]


def test_settings_never_show_a_secret(make_settings):
    settings = make_settings()
    assert "sandbox-apollo-key" not in repr(settings) + repr(settings.environment)


def test_base_urls_come_from_the_environment_first(make_settings):
    settings = make_settings(APOLLO_BASE_URL="http://127.0.0.1:9/apollo/")
    apollo = settings.config.providers["apollo"].base_url
    assert settings.base_url("apollo", apollo) == "http://127.0.0.1:9/apollo"
    assert make_settings().base_url("apollo", apollo) == "https://api.apollo.io"
