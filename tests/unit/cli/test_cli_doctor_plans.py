"""What the doctor says of plans: adapters, who gives what, prices against budgets, timeouts against deadlines."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.plans import plans_environment
from support.story import SECRETS

from enrichment_dagster.cli.doctor.finding import Finding, Level
from enrichment_dagster.cli.doctor.plans import check_plans
from enrichment_dagster.providers.clearbit import ClearbitCombined
from enrichment_dagster.settings import load_settings

ENABLED = ("    enabled: false\n", "")
NO_NEWS = ("company_name, news]", "company_name]")


def check(tmp_path: Path, *replacements: tuple[str, str], **env: str) -> list[Finding]:
    return list(check_plans(load_settings(plans_environment(tmp_path, *replacements, **env))))


def one(found: list[Finding]) -> Finding:
    """The only finding that is not ok."""
    (finding,) = [finding for finding in found if finding.level is not Level.OK]
    return finding


def test_good_plans_are_fine_even_without_keys(tmp_path: Path) -> None:
    providers, plans = check(tmp_path, ENABLED, NO_NEWS, **dict.fromkeys(SECRETS, ""))
    assert providers.found == "4 lookups of apollo, clearbit, zerobounce"
    assert (plans.level, plans.found) == (Level.OK, "2 plans have their lookups, money and time")


def test_a_provider_or_lookup_without_an_adapter_fails(tmp_path: Path) -> None:
    unknown = (("zerobounce:\n    enabled", "unheard_of:\n    enabled"), ("zerobounce.ver", "unheard_of.ver"))
    finding = one(check(tmp_path, *unknown))
    assert (finding.level, finding.check) == (Level.FAIL, "providers")
    assert "unheard_of" in finding.found


def test_a_wanted_field_that_nobody_gives_is_a_warning(tmp_path: Path) -> None:
    finding = one(check(tmp_path, ENABLED))
    assert finding.level is Level.WARN
    assert finding.found == "lead_created, standard lane: no lookup gives news"
    assert "event_types.lead_created.lanes.standard.wanted" in finding.todo


def test_a_field_of_a_provider_that_is_not_enabled_is_a_hint(tmp_path: Path) -> None:
    finding = one(check(tmp_path, NO_NEWS))
    assert finding.level is Level.HINT
    assert "email_status only from zerobounce, which is not enabled" in finding.found


def test_every_lane_is_checked(tmp_path: Path) -> None:
    finding = one(check(tmp_path, ENABLED, NO_NEWS, ("wanted: [company_name]", "wanted: [company_name, news]")))
    assert finding.found == "lead_created, routing lane: no lookup gives news"


def test_a_lookup_in_an_order_that_gives_none_of_its_fields_fails(tmp_path: Path) -> None:
    wrong = ("[zerobounce.verification]", "[zerobounce.verification, apollo.company]")
    finding = one(check(tmp_path, ENABLED, NO_NEWS, wrong))
    assert finding.level is Level.FAIL
    assert "apollo.company is listed for verification" in finding.found
    assert finding.todo == "take apollo.company out of event_types.lead_created.lanes.standard.orders.verification"


def test_a_slow_lookup_in_the_routing_lane_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClearbitCombined, "slow", True)
    finding = one(check(tmp_path, ENABLED, NO_NEWS))
    assert finding.level is Level.FAIL
    assert finding.found == "lead_created, routing lane: clearbit.combined is too slow for it"


@pytest.mark.parametrize(
    ("replacement", "place"),
    [
        (("budget_usd: 0.30", "budget_usd: 0.007"), "event_types.lead_created.lanes.standard.budget_usd"),
        (("usd_per_day: 2\n", "usd_per_day: 0.019\n"), "providers.apollo.usd_per_day"),
        (("budget: {usd_per_day: 10}", "budget: {usd_per_day: 0.001}"), "budget.usd_per_day"),
    ],
)
def test_a_budget_that_no_call_fits_into_fails(replacement: tuple[str, str], place: str, tmp_path: Path) -> None:
    finding = one(check(tmp_path, ENABLED, NO_NEWS, replacement))
    assert finding.level is Level.FAIL
    assert finding.todo == f"raise {place}: as it is, nothing is ever bought"


def test_a_budget_is_compared_with_all_units_of_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClearbitCombined, "max_units", 10)
    only = ("waterfall: [apollo.company, clearbit.combined]", "budget_usd: 0.4\n        waterfall: [clearbit.combined]")
    finding = one(check(tmp_path, ENABLED, NO_NEWS, only))
    assert "$0.40 is below the price of its cheapest call, clearbit.combined at $0.50" in finding.found


def test_a_deadline_before_the_timeout_of_a_first_call_is_a_hint(tmp_path: Path) -> None:
    finding = one(check(tmp_path, ENABLED, NO_NEWS, ("deadline_seconds: 5", "deadline_seconds: 1.8")))
    assert finding.level is Level.HINT
    assert "its deadline of 1.8 s ends before the timeout of apollo.company, 5 s" in finding.found
