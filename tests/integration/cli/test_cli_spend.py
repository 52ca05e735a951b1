"""``enrichment spend``: the day's money, and the switch that stops it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import insert
from support.decided import failing, provider_state
from support.plans import plans_environment
from support.story import Installation, call

from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.spending import day_of, hold, stopped
from enrichment_dagster.store.tables import attempts

Spend = Callable[..., Result]


@pytest.fixture
def spend(installation: Installation) -> Spend:
    env = plans_environment(installation.home)
    return lambda *words: call(env, "spend", *words)


def read(spend: Spend, *words: str) -> dict[str, Any]:
    result = spend(*words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def rows(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["provider"]: item for item in report["providers"]}


def spent(installation: Installation) -> None:
    """Two calls to Apollo ended today, one of them with a hit; one to Clearbit is under way."""
    now = datetime.now(UTC)
    common = {"purpose": "person", "event_id": "evt_1", "reserved_micros": 50_000, "lease_until_ms": 0, "rev": 1}
    common |= {"sent_at_ms": to_ms(now)}
    calls = [("apollo", "hit", 20_000), ("apollo", "miss", 0), ("clearbit", "sent", 0)]
    with installation.stores.ops.write() as connection:
        hold(connection, {"apollo": 20_000, "clearbit": 50_000}, day_of(now))
        for number, (provider, state, cost) in enumerate(calls):
            row = {"attempt_id": str(number), "subject_key": f"email:{number}", "cost_micros": cost, "state": state}
            connection.execute(insert(attempts).values({**common, **row, "provider": provider}))


def test_money_calls_and_shares_by_provider(installation: Installation, spend: Spend) -> None:
    spent(installation)
    report = read(spend)
    assert report["total"] == {
        "held_usd": 0.07,
        "budget_usd": 10.0,
        "budget_share": 0.007,
        "reserved_usd": 0.05,
        "calls": 3,
        "hits": 1,
        "usd_per_hit": 0.02,
    }
    assert rows(report)["apollo"] == {
        "provider": "apollo",
        "held_usd": 0.02,
        "budget_usd": 2.0,
        "budget_share": 0.01,
        "reserved_usd": 0.0,
        "calls": 2,
        "hits": 1,
        "usd_per_hit": 0.02,
        "breaker": "closed",
        "demoted": False,
        "lifetime_calls": 0,
        "lifetime_cap": 100,
        "lifetime_share": 0.0,
        "stopped": False,
    }
    assert (rows(report)["clearbit"]["budget_share"], rows(report)["clearbit"]["usd_per_hit"]) == (None, None)
    assert (report["stopped"], report["stops"]) == (False, [])
    text = spend().stdout
    assert all(part in text for part in ("apollo", "$0.07", "$10.00", "all together"))


def test_enabled_providers_are_listed_and_others_only_with_money(installation: Installation, spend: Spend) -> None:
    assert list(rows(read(spend))) == ["apollo", "clearbit"]
    with installation.stores.ops.write() as connection:
        hold(connection, {"zerobounce": 8_000, "long_gone": 1}, day_of(datetime.now(UTC)))
    assert list(rows(read(spend))) == ["apollo", "clearbit", "zerobounce", "long_gone"]


def test_breaker_demotion_and_lifetime_calls_are_shown(installation: Installation, spend: Spend) -> None:
    provider_state(installation, "apollo", failing(30, lifetime_calls=95))
    apollo = rows(read(spend))["apollo"]
    assert (apollo["breaker"], apollo["demoted"]) == ("open", True)
    assert (apollo["lifetime_calls"], apollo["lifetime_share"]) == (95, 0.95)
    text = spend().stdout
    assert "breaker open" in text
    assert "demoted" in text


def test_a_stop_is_there_for_the_next_call_of_every_process(installation: Installation, spend: Spend) -> None:
    result = spend("--stop", "apollo", "--reason", "invoice is disputed")
    assert result.exit_code == 0
    assert "enrichment spend --resume apollo" in result.stdout
    with installation.stores.ops.read() as connection:
        assert stopped(connection) == {"apollo"}
    report = read(spend)
    assert [(stop["provider"], stop["reason"]) for stop in report["stops"]] == [("apollo", "invoice is disputed")]
    assert {name: row["stopped"] for name, row in rows(report).items()} == {"apollo": True, "clearbit": False}
    assert "invoice is disputed" in spend().stdout
    assert spend("--resume", "apollo").stdout == "resumed\n"
    assert read(spend)["stops"] == []


def test_stopping_all_stops_everyone_and_resuming_all_leaves_single_stops(spend: Spend) -> None:
    read(spend, "--stop", "clearbit")
    assert [stop["provider"] for stop in read(spend, "--stop", "all")["stops"]] == ["clearbit", "all"]
    report = read(spend)
    assert report["stopped"] is True
    assert all(row["stopped"] for row in rows(report).values())
    assert "stopped now: clearbit" in spend("--resume", "all").stdout
    assert rows(read(spend))["apollo"]["stopped"] is False
    assert "was not stopped" in spend("--resume", "all").stdout


@pytest.mark.parametrize("option", ["--stop", "--resume"])
def test_an_unknown_provider_is_refused_with_the_known_ones(option: str, spend: Spend) -> None:
    result = spend(option, "appolo")
    assert result.exit_code == 2
    assert "known are apollo, clearbit, zerobounce, all" in result.stderr
    assert read(spend)["stops"] == []


@pytest.mark.parametrize("words", [("--stop", "all", "--resume", "all"), ("--reason", "x")])
def test_options_that_do_not_go_together_end_with_2(words: tuple[str, ...], spend: Spend) -> None:
    assert spend(*words).exit_code == 2


def test_without_a_store_nothing_is_created(tmp_path: Path) -> None:
    env = plans_environment(tmp_path)
    assert call(env, "spend", "--stop", "all").exit_code == 1
    assert not (tmp_path / "ops.db").exists()
