"""What ``enrichment status`` says of money, providers in trouble and late answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result
from support.decided import awaited, decided, failing, provider_state
from support.plans import plans_environment
from support.story import Installation, call

from enrichment_dagster.engine.protection import ProviderState
from enrichment_dagster.store.spending import SpendingStore, day_of, hold

Status = Callable[..., Result]


@pytest.fixture
def status(installation: Installation) -> Status:
    """The command, on an installation that is well."""
    installation.clock.move(25)
    installation.dispatch.beat("tick:lead_created")
    env = plans_environment(installation.home)
    return lambda *words: call(env, "status", *words)


def read(status: Status) -> tuple[int, dict[str, Any]]:
    result = status("--json")
    return result.exit_code, json.loads(result.stdout)


def test_money_of_today_against_the_budget(installation: Installation, status: Status) -> None:
    now = datetime.now(UTC)
    with installation.stores.ops.write() as connection:
        hold(connection, {"apollo": 2_500_000}, day_of(now))
    code, report = read(status)
    assert report["money"] == {
        "day": day_of(now),
        "held_usd": 2.5,
        "budget_usd": 10.0,
        "budget_share": 0.25,
        "stops": [],
    }
    assert (code, report["problems"]) == (0, [])
    shown = status().stdout
    assert all(part in shown for part in ("$2.50", "$10.00", "25%"))


@pytest.mark.parametrize("name", ["all", "apollo"])
def test_stopped_spending_is_unwell_and_says_how_to_resume(
    name: str, installation: Installation, status: Status
) -> None:
    SpendingStore(installation.stores.ops, installation.clock).stop(name, "invoice is disputed")
    code, report = read(status)
    assert code == 1
    (problem,) = report["problems"]
    assert "invoice is disputed" in problem
    assert f"enrichment spend --resume {name}" in problem
    assert status().exit_code == 1


@pytest.mark.parametrize(("calls", "code"), [(90, 0), (91, 1)])
def test_a_lifetime_cap_that_is_nearly_used_is_unwell(
    calls: int, code: int, installation: Installation, status: Status
) -> None:
    provider_state(installation, "apollo", ProviderState(lifetime_calls=calls))
    found, report = read(status)
    assert (found, report["providers"]["apollo"]["lifetime_calls"]) == (code, calls)
    assert [problem.partition(" that")[0] for problem in report["problems"]] == ["apollo: 91 of 100 calls"][:code]


def test_providers_in_trouble_are_shown_and_do_not_make_it_unwell(installation: Installation, status: Status) -> None:
    """The engine deals with them: others are asked."""
    assert "Providers in trouble" not in status().stdout
    provider_state(installation, "clearbit", failing(30))
    code, report = read(status)
    assert (code, report["providers"]["clearbit"]["breaker"], report["providers"]["clearbit"]["demoted"]) == (
        0,
        "open",
        True,
    )
    assert list(report["providers"]) == ["apollo", "clearbit"]
    assert "breaker open, demoted" in status().stdout


async def test_late_answers_that_are_awaited_are_counted(installation: Installation, status: Status) -> None:
    assert read(status)[1]["pending_answers"] == {"waiting": 0, "oldest_seconds": 0.0, "lookups": {}}
    awaited(installation, await decided(installation))
    late = read(status)[1]["pending_answers"]
    assert (late["waiting"], late["lookups"]) == (1, {"apollo.phone": 1})
    assert late["oldest_seconds"] > 0
    assert "apollo.phone 1" in status().stdout
