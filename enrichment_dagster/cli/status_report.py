"""The state of the installation as data: what ``enrichment status --json`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from assets.lanes import LANES, with_lane
from enrichment_dagster.cli.words import iso, usd
from enrichment_dagster.domain.config import EnrichmentConfig, EventTypeConfig
from enrichment_dagster.monitoring.checks import COVERAGE, DEAD_DAEMON, LATENCY
from enrichment_dagster.ports import TICK

if TYPE_CHECKING:
    from enrichment_dagster.composition import Stores
    from enrichment_dagster.store.health import HealthStore

_SPEND_WINDOW = timedelta(hours=24)
_LOOP_WINDOW = timedelta(hours=24)
_REFUSED_WINDOW = timedelta(hours=24)
_PROJECTION_PATIENCE = timedelta(minutes=5)  # a sensor asks for a projection when changes have waited for a minute
_CAP_WARNING = 0.9  # of the calls that a provider serves at all
_FIRST_LANE = LANES[0]
_PATIENCE = {TICK + lane.event_type: DEAD_DAEMON + lane.every - _FIRST_LANE.every for lane in LANES}


def build_status(stores: Stores, config: EnrichmentConfig) -> dict[str, Any]:
    """Return the state of the installation."""
    health, now = stores.health(), stores.clock.now()
    balance = health.balance()
    handled = with_lane(config.event_types)
    lags = _lags(stores, handled, now)
    lanes = {name: {**_lane(health, name, found, now), **lags[name]} for name, found in handled.items()}
    beats = _beats(health.last_beats(), now, [TICK + name for name in handled])
    kept = health.kept_bodies()
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
        "crm_refused": health.crm_refused(_REFUSED_WINDOW),
        "loops": _loops(stores),
        "lanes": lanes,
        "spend_usd_24h": {name: usd(micros) for name, micros in health.spend_micros(_SPEND_WINDOW).items()},
        "money": _money(stores, config),
        "providers": _providers(config, health, now),
        "pending_answers": health.pending_answers(),
        "kept_bodies": sum(kept.values()),
        "kept_body_reasons": kept,
        "refused": health.refused(_REFUSED_WINDOW),
        "projector": _projector(health, now),
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


def _lags(stores: Stores, lanes: Iterable[str], now: datetime) -> dict[str, dict[str, Any]]:
    """Return how far each lane's sensor is behind: its due events that are in no batch, and the oldest one's wait."""
    claims = {claim.event_type: claim for claim in stores.dispatch().claims(dict.fromkeys(lanes, timedelta()))}
    found: dict[str, dict[str, Any]] = {name: {"due": 0, "lag_seconds": 0.0} for name in lanes}
    for name, claim in claims.items():
        waited = max(0.0, (now - claim.oldest_due_at).total_seconds())
        found[name] = {"due": claim.count, "lag_seconds": round(waited, 1)}
    return found


def _loops(stores: Stores) -> dict[str, Any]:
    """Return which loops were prevented in the last day, and whether the write-back shows signs of one."""
    from enrichment_dagster.verdicts import evaluate_writeback

    (verdict,) = evaluate_writeback(stores.loops())
    prevented = {
        name: {
            "own_write": found.own_write,
            "causality_depth": found.causality_depth,
            "saved_usd": usd(found.saved_micros),
        }
        for name, found in stores.loops().prevented(_LOOP_WINDOW).items()
    }
    return {"passed": verdict.passed, "message": verdict.message, **verdict.numbers, "prevented_24h": prevented}


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


def _projector(health: HealthStore, now: datetime) -> dict[str, Any]:
    """Return how far the warehouse is behind, in changes and for how long."""
    rev, projected = health.rev(), health.projected_rev()
    since = health.unprojected_since(projected)
    seconds = 0.0 if since is None else round(max(0.0, (now - since).total_seconds()), 1)
    return {"rev": rev, "projected_rev": projected, "lag": max(0, rev - projected), "lag_seconds": seconds}


def _beats(found: Mapping[str, datetime], now: datetime, expected: list[str]) -> dict[str, Any]:
    """Return when each loop was last alive; a tick that never came is listed as well."""
    names = sorted({*found, *expected})
    return {name: _beat(name, found.get(name), now) for name in names}


def _beat(name: str, at: datetime | None, now: datetime) -> dict[str, Any]:
    age = None if at is None else round(max(0.0, (now - at).total_seconds()), 1)
    patience = _PATIENCE.get(name)
    dead = patience is not None and (age is None or age > patience.total_seconds())
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
    if not report["loops"]["passed"]:
        problems.append(f'crm_writeback: {report["loops"]["message"]}; see "Loops" in the guide to operations')
    projector = report["projector"]
    if projector["lag_seconds"] > _PROJECTION_PATIENCE.total_seconds():
        behind = f"{projector['lag']:,} changes behind, for {projector['lag_seconds'] / 60:,.0f} minutes"
        problems.append(f"the warehouse is {behind}; Dagster's runs of projection_job say why")
    problems += [_stop_problem(stop) for stop in report["money"]["stops"]]
    for name, provider in report["providers"].items():
        if (provider["lifetime_share"] or 0) > _CAP_WARNING:
            served = f"{provider['lifetime_calls']:,} of {provider['lifetime_cap']:,} calls that it serves ever"
            problems.append(f"{name}: {served} are used; raise limits.lifetime_calls once it serves more")
    return [*problems, *_silent_sensors(report["beats"])]


def _silent_sensors(beats: Mapping[str, Any]) -> list[str]:
    """Return which sensors do not tick: all of them if the daemon is down, one if somebody stopped it in the UI."""
    ticks = {name: beat for name, beat in beats.items() if name in _PATIENCE}
    dead = {name: beat for name, beat in ticks.items() if beat["dead"]}
    if dead and len(dead) == len(ticks):
        last = min((beat["age_seconds"] for beat in dead.values() if beat["age_seconds"] is not None), default=None)
        return [f"Dagster's daemon {_ticked(last)}; start it with `enrichment up`"]
    sensors = {TICK + lane.event_type: lane.sensor for lane in LANES}
    return [
        f"{name.removeprefix(TICK)}: the sensor {sensors[name]} {_ticked(beat['age_seconds'])}; start it in Dagster"
        for name, beat in dead.items()
    ]


def _ticked(age_seconds: float | None) -> str:
    return "never ticked" if age_seconds is None else f"last ticked {age_seconds:.0f} s ago"
