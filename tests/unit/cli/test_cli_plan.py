"""``enrichment plan``: without keys, without network, and without a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.plans import plans_environment
from support.story import SECRETS, call

from enrichment_dagster.cli.plan_report import build_plan
from enrichment_dagster.cli.plan_view import plan_view
from enrichment_dagster.engine.protection import Standing
from enrichment_dagster.providers.apollo import ApolloCompany
from enrichment_dagster.settings import load_settings

NO_KEYS = dict.fromkeys(SECRETS, "")


def read(tmp_path: Path, *words: str, replacements: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    result = call(plans_environment(tmp_path, *replacements, **NO_KEYS), "plan", *words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def orders(report: dict[str, Any]) -> dict[str, list[str]]:
    return {item["field"]: item["asked"] for item in report["fields"]}


def test_each_field_has_its_lookups_in_the_order_in_which_they_are_asked(tmp_path: Path) -> None:
    report = read(tmp_path, "lead_created")
    assert orders(report) == {
        "email_status": [],
        "title": ["apollo.person", "clearbit.combined"],
        "company_name": ["apollo.person", "apollo.company", "clearbit.combined"],
        "news": [],
    }
    assert report["nobody"] == ["email_status", "news"]
    assert [report[name] for name in ("mode", "prefer", "deadline_seconds", "budget_usd", "observed")] == [
        "sequential",
        "cheapest",
        25.0,
        0.3,
        False,
    ]
    assert report["lookups"][1] | {"lookup": ""} == {
        "lookup": "",
        "price_usd": 0.05,
        "charge": "on_hit",
        "max_units": 1,
        "timeout_seconds": 5.0,
        "p50_ms": None,
        "p95_ms": None,
        "breaker": None,
        "demoted": False,
    }


def test_what_is_listed_and_passed_over_has_a_reason(tmp_path: Path) -> None:
    dear = (
        ("apollo.person, apollo.company]", "apollo.person]"),
        ("[email_status, title, company_name, news]", "[news]"),
    )
    assert read(tmp_path, "lead_created")["passed_over"] == [
        {"lookup": "zerobounce.verification", "reason": "provider zerobounce is not enabled"}
    ]
    assert read(tmp_path, "lead_created", replacements=dear)["passed_over"] == [
        {"lookup": name, "reason": "gives none of the fields that it is listed for"}
        for name in ("clearbit.combined", "apollo.person")
    ]


def test_the_most_that_an_event_can_cost_is_each_lookup_once_with_all_its_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = read(tmp_path, "lead_created")
    assert (report["most_usd"], report["within_budget"]) == (0.09, True)
    monkeypatch.setattr(ApolloCompany, "max_units", 20)
    report = read(tmp_path, "lead_created")
    assert (report["most_usd"], report["within_budget"]) == (0.47, False)
    text = call(plans_environment(tmp_path), "plan", "lead_created").stdout
    assert "$0.47 is the most that one event can cost: each lookup once; calls beyond its budget of $0.30" in text
    assert "apollo.company ($0.02 a hit, up to 20)" in text


def test_each_lane_has_its_plan(tmp_path: Path) -> None:
    report = read(tmp_path, "lead_created", "--lane", "routing")
    assert (report["mode"], report["prefer"], report["budget_usd"]) == ("parallel", "fastest", None)
    assert orders(report) == {"company_name": ["apollo.company", "clearbit.combined"]}
    assert "there is no budget" in call(plans_environment(tmp_path), "plan", "lead_created", "--lane", "routing").stdout


def test_a_plan_names_the_lane_that_it_is_not(tmp_path: Path) -> None:
    env = plans_environment(tmp_path)
    assert "enrichment plan lead_created --lane routing" in call(env, "plan", "lead_created").stdout
    routing = call(env, "plan", "lead_created", "--lane", "routing").stdout
    assert "enrichment plan lead_created --lane standard" in routing


def test_fields_with_the_same_order_share_a_row_and_nobody_is_said(tmp_path: Path) -> None:
    text = call(plans_environment(tmp_path), "plan", "lead_created").stdout
    assert "email_status, news" in text
    assert "nobody" in text
    assert "no store yet" in text
    assert "provider zerobounce is not enabled" in text


async def test_observations_order_the_fastest_first_and_the_demoted_last(tmp_path: Path) -> None:
    from enrichment_dagster.http import RemoteClients
    from enrichment_dagster.providers.registry import build_lookups

    settings = load_settings(plans_environment(tmp_path, **NO_KEYS))
    plan = settings.config.event_types["lead_created"].lanes.by_name["routing"]
    slow = Standing(
        "closed",
        demoted=False,
        calls=30,
        failures=0,
        paused_until=0.0,
        lifetime_calls=30,
        latency_ms={"company": (900.0, 1200.0)},
    )
    quick = Standing(
        "half_open",
        demoted=False,
        calls=30,
        failures=0,
        paused_until=0.0,
        lifetime_calls=30,
        latency_ms={"combined": (200.0, 400.0)},
    )
    async with RemoteClients() as clients:
        lookups = build_lookups(settings, clients, require_keys=False)
    report = build_plan("lead_created", "routing", plan, lookups, {"apollo": slow, "clearbit": quick})
    assert orders(report) == {"company_name": ["clearbit.combined", "apollo.company"]}
    assert (report["observed"], report["lookups"][0]["p50_ms"], report["lookups"][0]["breaker"]) == (
        True,
        200.0,
        "half_open",
    )
    demoted = Standing(
        "closed",
        demoted=True,
        calls=30,
        failures=9,
        paused_until=0.0,
        lifetime_calls=30,
        latency_ms={"combined": (200.0, 400.0)},
    )
    report = build_plan("lead_created", "routing", plan, lookups, {"apollo": slow, "clearbit": demoted})
    assert orders(report) == {"company_name": ["apollo.company", "clearbit.combined"]}
    assert plan_view(report) is not None


def test_without_a_type_all_are_listed_with_their_lanes(tmp_path: Path) -> None:
    (item,) = read(tmp_path)["event_types"]
    assert (item["event_type"], item["latency_target_seconds"], list(item["lanes"])) == (
        "lead_created",
        60.0,
        ["standard", "routing"],
    )
    assert item["lanes"]["standard"]["wanted"] == 4
    text = call(plans_environment(tmp_path), "plan").stdout
    assert all(word in text for word in ("lead_created", "standard", "routing", "$0.30"))


@pytest.mark.parametrize(
    ("words", "said"),
    [(["nonsense"], "known are lead_created"), (["lead_created", "--lane", "fast"], "'standard', 'routing'")],
)
def test_what_is_not_there_ends_with_2_and_names_what_is(words: list[str], said: str, tmp_path: Path) -> None:
    result = call(plans_environment(tmp_path), "plan", *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_type_without_a_routing_lane_says_where_to_add_it(tmp_path: Path) -> None:
    env = plans_environment(tmp_path)
    path = Path(env["ENRICHMENT_CONFIG"])
    head, _, rest = path.read_text().partition("      routing:\n")
    path.write_text(head + rest[rest.index("providers:") :])
    result = call(env, "plan", "lead_created", "--lane", "routing")
    assert result.exit_code == 2
    assert "add event_types.lead_created.lanes.routing" in result.stderr
