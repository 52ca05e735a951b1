"""The day's money as data: what ``enrichment spend --json`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from enrichment_dagster.cli.standings import build_standings
from enrichment_dagster.cli.words import iso, usd
from enrichment_dagster.domain.config import EnrichmentConfig, ProviderConfig
from enrichment_dagster.store.spending import ALL, TOTAL, SpendingStore, Spent, Stop, day_of

if TYPE_CHECKING:
    from enrichment_dagster.engine.protection import Standing


def build_spend(
    config: EnrichmentConfig, store: SpendingStore, states: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Return what every provider has cost today, how it stands, and what is stopped."""
    rows = {row.provider: row for row in store.today()}
    stops = {stop.provider: stop for stop in store.stops()}
    standings = build_standings(config, states, now.timestamp())
    names = [name for name, provider in config.providers.items() if provider.enabled or name in rows or name in stops]
    names += sorted({*rows, *stops} - {*config.providers, TOTAL, ALL})
    return {
        "day": day_of(now),
        "total": _money(rows[TOTAL], config.budget.usd_per_day),
        "stopped": ALL in stops,
        "stops": [build_stop(stop) for stop in stops.values()],
        "providers": [
            {
                "provider": name,
                **_money(rows.get(name, Spent(name)), _budget(config.providers.get(name))),
                **build_standing(config.providers.get(name), standings.get(name)),
                "stopped": name in stops or ALL in stops,
            }
            for name in names
        ],
    }


def _budget(config: ProviderConfig | None) -> float | None:
    return config.usd_per_day if config else None


def _money(row: Spent, budget_usd: float | None) -> dict[str, Any]:
    return {
        **build_held(row.held_micros, budget_usd),
        "reserved_usd": usd(row.reserved_micros),
        "calls": row.calls,
        "hits": row.hits,
        "usd_per_hit": usd(round(row.cost_micros / row.hits)) if row.hits else None,
    }


def build_held(held_micros: int, budget_usd: float | None) -> dict[str, Any]:
    """Return what is spent and reserved, against its budget. The share of a budget of zero is not told."""
    held = usd(held_micros)
    return {
        "held_usd": held,
        "budget_usd": budget_usd,
        "budget_share": round(held / budget_usd, 4) if budget_usd else None,
    }


def build_standing(config: ProviderConfig | None, found: Standing | None) -> dict[str, Any]:
    """Return how a provider stands, and how many of the calls that it serves at all are used."""
    cap = config.limits.lifetime_calls if config else None
    return {
        "breaker": found.breaker if found else None,
        "demoted": found.demoted if found else False,
        "lifetime_calls": found.lifetime_calls if found else 0,
        "lifetime_cap": cap,
        "lifetime_share": round(found.lifetime_calls / cap, 4) if found and cap else None,
    }


def build_stop(stop: Stop) -> dict[str, Any]:
    """Return a stop as reports show it."""
    return {"provider": stop.provider, "reason": stop.reason, "stopped_at": iso(stop.stopped_at)}
