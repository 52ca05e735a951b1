"""The state of the installation as data: what ``enrichment status --json`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from assets.lanes import with_lane
from enrichment_dagster.cli.words import iso, usd
from enrichment_dagster.domain.config import EnrichmentConfig, EventTypeConfig
from enrichment_dagster.monitoring.checks import COVERAGE, DEAD_DAEMON, LATENCY

if TYPE_CHECKING:
    from enrichment_dagster.composition import Stores
    from enrichment_dagster.store.health import HealthStore

_TICK = "tick:"
_SPEND_WINDOW = timedelta(hours=24)
_CAP_WARNING = 0.9  # of the calls that a provider serves at all


def build_status(stores: Stores, config: EnrichmentConfig) -> dict[str, Any]:
    """Return the state of the installation."""
    health, now = stores.health(), stores.clock.now()
    balance = health.balance()
    handled = with_lane(config.event_types)
    lanes = {name: _lane(health, name, event_type, now) for name, event_type in handled.items()}
    beats = _beats(health.last_beats(), now, [f"{_TICK}{name}" for name in handled])
    rev, projected = health.rev(), health.projected_rev()
    report: dict[str, Any] = {
        "at": iso(now),
        "healthy": True,
        "problems": [],
        "events": {
            "received": balance.received,
            "terminal": balance.terminal,
            "dead": balance.dead,
            "in_flight": balance.in_flight,
            "holds": balance.holds,
        },
        "outcomes": health.outcomes(),
        "backlog": stores.dispatch().backlog(),
        "owed": health.owed(),
        "lanes": lanes,
        "spend_usd_24h": {name: usd(micros) for name, micros in health.spend_micros(_SPEND_WINDOW).items()},
        "money": _money(stores, config),
        "providers": _providers(config, health, now),
        "pending_answers": health.pending_answers(),
        "kept_bodies": health.kept_bodies(),
        "projector": {"rev": rev, "projected_rev": projected, "lag": max(0, rev - projected)},
        "beats": beats,
    }
    report["problems"] = _problems(report)
    report["healthy"] = not report["problems"]
    return report


def _lane(health: HealthStore, event_type: str, config: EventTypeConfig, now: datetime) -> dict[str, Any]:
    from enrichment_dagster.verdicts import evaluate

    latency, coverage = evaluate(health, event_type, config, [LATENCY, COVERAGE], now)
    numbers = {"slow_hop": None, "slow_hop_p95_seconds": None, **latency.numbers}
    return {
        "passed": latency.passed,
        "message": latency.message,
        **numbers,
        "coverage": {
            "passed": coverage.passed,
            "message": coverage.message,
            **{name: coverage.numbers[name] for name in ("samples", "coverage", "floor")},
        },
    }


def _money(stores: Stores, config: EnrichmentConfig) -> dict[str, Any]:
    """Return today's money of all providers together, and what an operator has stopped."""
    from enrichment_dagster.cli.spend_report import build_held, build_stop
    from enrichment_dagster.store.spending import SpendingStore, day_of

    store = SpendingStore(stores.ops, stores.clock)
    return {
        "day": day_of(stores.clock.now()),
        **build_held(store.held_today(), config.budget.usd_per_day),
        "stops": [build_stop(stop) for stop in store.stops()],
    }


def _providers(config: EnrichmentConfig, health: HealthStore, now: datetime) -> dict[str, Any]:
    """Return how each enabled provider does."""
    from enrichment_dagster.cli.spend_report import build_standing
    from enrichment_dagster.cli.standings import build_standings

    standings = build_standings(config, health.provider_states(), now.timestamp())
    return {name: build_standing(config.providers[name], found) for name, found in standings.items()}


def _beats(found: Mapping[str, datetime], now: datetime, expected: list[str]) -> dict[str, Any]:
    """Return when each loop was last alive; a tick that never came is listed as well."""
    names = sorted({*found, *expected})
    return {name: _beat(name, found.get(name), now) for name in names}


def _beat(name: str, at: datetime | None, now: datetime) -> dict[str, Any]:
    age = None if at is None else round(max(0.0, (now - at).total_seconds()), 1)
    dead = name.startswith(_TICK) and (age is None or age > DEAD_DAEMON.total_seconds())
    return {"at": iso(at), "age_seconds": age, "dead": dead}


def _stop_problem(stop: Mapping[str, Any]) -> str:
    from enrichment_dagster.cli.spend_view import stop_text

    return stop_text(stop)


def _problems(report: Mapping[str, Any]) -> list[str]:
    """Return in words what is wrong, and what to do."""
    problems = []
    if not report["events"]["holds"]:
        problems.append("the account does not balance: received is not terminal + dead + in flight; keep the stores")
    problems += [f"{name}: {lane['message']}" for name, lane in report["lanes"].items() if not lane["passed"]]
    problems += [_stop_problem(stop) for stop in report["money"]["stops"]]
    for name, provider in report["providers"].items():
        if (provider["lifetime_share"] or 0) > _CAP_WARNING:
            served = f"{provider['lifetime_calls']:,} of {provider['lifetime_cap']:,} calls that it serves ever"
            problems.append(f"{name}: {served} are used; raise limits.lifetime_calls once it serves more")
    for name, beat in report["beats"].items():
        if beat["dead"]:
            when = "never ticked" if beat["age_seconds"] is None else f"last ticked {beat['age_seconds']:.0f} s ago"
            problems.append(f"{name.removeprefix(_TICK)}: Dagster's daemon {when}; start it with `enrichment up`")
    return problems
