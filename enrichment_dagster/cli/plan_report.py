"""A plan as data: what ``enrichment plan --json`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from enrichment_dagster.cli.standings import demoted_providers, p50_by_lookup
from enrichment_dagster.cli.words import usd
from enrichment_dagster.domain.config import EnrichmentConfig, EventTypeConfig, PlanConfig
from enrichment_dagster.engine.ordering import asked_order, candidates, listed_order

if TYPE_CHECKING:
    from enrichment_dagster.engine.protection import Standing
    from enrichment_dagster.ports import Lookup

NOT_ENABLED = "provider {} is not enabled"
GIVES_NOTHING = "gives none of the fields that it is listed for"


def build_plans(config: EnrichmentConfig) -> dict[str, Any]:
    """Return all event types with their lanes."""
    return {"event_types": [_event_type(name, found) for name, found in config.event_types.items()]}


def _event_type(name: str, config: EventTypeConfig) -> dict[str, Any]:
    return {
        "event_type": name,
        "description": config.description,
        "latency_target_seconds": config.latency_target_seconds,
        "lanes": {lane: _summary(plan) for lane, plan in config.lanes.by_name.items()},
    }


def _summary(plan: PlanConfig) -> dict[str, Any]:
    return {
        "wanted": len(plan.fields),
        "lookups": len(listed_lookups(plan)),
        "mode": plan.mode,
        "prefer": plan.prefer,
        "deadline_seconds": plan.deadline_seconds,
        "budget_usd": plan.budget_usd,
    }


def build_plan(
    event_type: str,
    lane: str,
    plan: PlanConfig,
    lookups: Mapping[str, Lookup],
    standings: Mapping[str, Standing] | None,
) -> dict[str, Any]:
    """Return the waterfall of a plan, ordered by what was observed (None: there is no store to tell)."""
    orders = asked_orders(plan, lookups, standings or {})
    asked = list(dict.fromkeys(name for order in orders.values() for name in order))
    most = most_micros(lookups[name] for name in asked)
    budget = plan.budget_usd
    return {
        "event_type": event_type,
        "lane": lane,
        "mode": plan.mode,
        "prefer": plan.prefer,
        "deadline_seconds": plan.deadline_seconds,
        "budget_usd": budget,
        "fields": [{"field": name, "asked": list(order)} for name, order in orders.items()],
        "lookups": [_lookup(lookups[name], standings or {}) for name in asked],
        "passed_over": [_passed_over(name, lookups) for name in listed_lookups(plan) if name not in asked],
        "nobody": [name for name, order in orders.items() if not order],
        "most_usd": usd(most),
        "within_budget": budget is None or usd(most) <= budget,
        "observed": standings is not None,
    }


def asked_orders(
    plan: PlanConfig, lookups: Mapping[str, Lookup], standings: Mapping[str, Standing]
) -> dict[str, tuple[str, ...]]:
    """Return, for each wanted field, the lookups in the order in which they would be asked."""
    p50_ms, demoted = p50_by_lookup(standings), demoted_providers(standings)
    return {
        field: asked_order(
            candidates(field, listed_order(field, plan.waterfall, plan.orders), lookups),
            lookups,
            plan.prefer,
            p50_ms,
            demoted,
        )
        for field in plan.fields
    }


def listed_lookups(plan: PlanConfig) -> Sequence[str]:
    """Return every lookup that the plan lists for a field that it wants."""
    orders = (listed_order(field, plan.waterfall, plan.orders) for field in plan.fields)
    return list(dict.fromkeys([*plan.waterfall, *(name for order in orders for name in order)]))


def not_enabled(config: EnrichmentConfig, event_type: str, done: Iterable[str]) -> list[dict[str, str]]:
    """Return the lookups that an event type's plans list and whose providers are not enabled, but for those done."""
    found = config.event_types.get(event_type)
    plans = found.lanes.by_name.values() if found else ()
    listed = dict.fromkeys(name for plan in plans for name in listed_lookups(plan))
    off = {name for name, provider in config.providers.items() if not provider.enabled}
    open_names = [name for name in listed if name not in set(done) and name.partition(".")[0] in off]
    return [{"lookup": name, "reason": NOT_ENABLED.format(name.partition(".")[0])} for name in open_names]


def most_micros(asked: Iterable[Lookup]) -> int:
    """Return the most that one event can cost: every lookup once, with all its units."""
    return sum(lookup.price_micros * lookup.max_units for lookup in asked)


def _lookup(lookup: Lookup, standings: Mapping[str, Standing]) -> dict[str, Any]:
    found = standings.get(lookup.provider)
    latency = found.latency_ms.get(lookup.purpose) if found else None
    return {
        "lookup": lookup.name,
        "price_usd": usd(lookup.price_micros),
        "charge": str(lookup.charge),
        "max_units": lookup.max_units,
        "timeout_seconds": lookup.timeout_seconds,
        "p50_ms": latency[0] if latency else None,
        "p95_ms": latency[1] if latency else None,
        "breaker": found.breaker if found else None,
        "demoted": found.demoted if found else False,
    }


def _passed_over(name: str, lookups: Mapping[str, Lookup]) -> dict[str, str]:
    reason = GIVES_NOTHING if name in lookups else NOT_ENABLED.format(name.partition(".")[0])
    return {"lookup": name, "reason": reason}
