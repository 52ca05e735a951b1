"""Can the plans work: adapters, who gives what, prices against budgets, timeouts against deadlines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enrichment_dagster.cli.doctor.finding import Finding, fail, hint, ok, warn
from enrichment_dagster.cli.lookups import described_lookups
from enrichment_dagster.cli.plan_report import asked_orders
from enrichment_dagster.cli.words import dollars, usd
from enrichment_dagster.domain.config import EnrichmentConfig, PlanConfig, resolved
from enrichment_dagster.engine.ordering import candidates, listed_order
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.settings import Settings

if TYPE_CHECKING:
    from enrichment_dagster.ports import Lookup

_ROUTING = "routing"


@dataclass(frozen=True, slots=True)
class _Lane:
    """A plan, where it stands in the file, and the lookups of the enabled and of all providers."""

    event_type: str
    lane: str
    plan: PlanConfig
    enabled: Mapping[str, Lookup]
    described: Mapping[str, Lookup]

    @property
    def place(self) -> str:
        return f"event_types.{self.event_type}.lanes.{self.lane}"

    @property
    def name(self) -> str:
        return f"{self.event_type}, {self.lane} lane"


def check_plans(settings: Settings) -> Iterator[Finding]:
    """Check that there is an adapter for every lookup, and every plan of every lane against its lookups."""
    try:
        described = described_lookups(settings)
    except ConfigurationError as error:
        for problem in error.problems:
            yield fail("providers", problem, "change it, then try `enrichment doctor` again")
        return
    config = settings.config
    enabled = {name: lookup for name, lookup in described.items() if config.providers[lookup.provider].enabled}
    providers = dict.fromkeys(lookup.provider for lookup in enabled.values())
    yield ok("providers", f"{len(enabled)} lookups of {', '.join(providers) or 'nobody'}")
    lanes = [
        _Lane(event_type, lane, plan, enabled, described)
        for event_type, found in config.event_types.items()
        for lane, plan in found.lanes.by_name.items()
    ]
    found = [finding for lane in lanes for finding in _check_lane(lane)]
    found += _check_daily_budgets(config, enabled)
    yield from found or [ok("plans", f"{len(lanes)} plans have their lookups, money and time")]


def _check_lane(lane: _Lane) -> Iterator[Finding]:
    yield from _check_gives(lane)
    yield from _check_orders(lane)
    yield from _check_slow(lane)
    yield from _check_budget(lane)
    yield from _check_deadline(lane)


def _check_gives(lane: _Lane) -> Iterator[Finding]:
    """Find fields that nobody gives, and those that need a provider that is not enabled."""
    plan, enabled, described = lane.plan, lane.enabled, lane.described
    orphans: list[str] = []
    dormant: dict[str, list[str]] = {}
    for field in plan.fields:
        listed = listed_order(field, plan.waterfall, plan.orders)
        if candidates(field, listed, enabled):
            continue
        providers = dict.fromkeys(described[giver].provider for giver in candidates(field, listed, described))
        if providers:
            dormant.setdefault(" or ".join(providers), []).append(field)
        else:
            orphans.append(field)
    if orphans:
        todo = f"take them out of {lane.place}.wanted, or list a lookup that gives them"
        yield warn("plans", f"{lane.name}: no lookup gives {', '.join(orphans)}", todo)
    for givers, fields in dormant.items():
        text = f"{lane.name}: {', '.join(fields)} only from {givers}, which is not enabled"
        yield hint("plans", text, f"enable {givers}, or leave these fields empty")


def _check_orders(lane: _Lane) -> Iterator[Finding]:
    for entry, order in lane.plan.orders.items():
        fields = resolved([entry])
        for name in order:
            if name in lane.described and not lane.described[name].gives & set(fields):
                todo = f"take {name} out of {lane.place}.orders.{entry}"
                yield fail("plans", f"{lane.name}: {name} is listed for {entry}, which it does not give", todo)


def _check_slow(lane: _Lane) -> Iterator[Finding]:
    if lane.lane != _ROUTING:
        return
    listed = dict.fromkeys([*lane.plan.waterfall, *(name for order in lane.plan.orders.values() for name in order)])
    for name in listed:
        if name in lane.described and lane.described[name].slow:
            yield fail("plans", f"{lane.name}: {name} is too slow for it", f"take {name} out of {lane.place}")


def _check_budget(lane: _Lane) -> Iterator[Finding]:
    asked = [lane.enabled[name] for order in asked_orders(lane.plan, lane.enabled, {}).values() for name in order]
    yield from _below_cheapest(lane.name, f"{lane.place}.budget_usd", lane.plan.budget_usd, asked)


def _check_daily_budgets(config: EnrichmentConfig, enabled: Mapping[str, Lookup]) -> Iterator[Finding]:
    for name, provider in config.providers.items():
        own = [lookup for lookup in enabled.values() if lookup.provider == name]
        yield from _below_cheapest(name, f"providers.{name}.usd_per_day", provider.usd_per_day, own)
    yield from _below_cheapest("all providers", "budget.usd_per_day", config.budget.usd_per_day, enabled.values())


def _below_cheapest(name: str, place: str, budget: float | None, lookups: Iterable[Lookup]) -> Iterator[Finding]:
    """Find a budget that no call fits into: before a call is sent, the most that it may cost is reserved."""
    prices = {lookup.name: usd(lookup.price_micros * lookup.max_units) for lookup in lookups}
    if budget is None or not prices:
        return
    cheapest = min(prices, key=lambda lookup: prices[lookup])
    if budget < prices[cheapest]:
        found = f"{name}: {dollars(budget)} is below the price of its cheapest call, {cheapest} at "
        yield fail("plans", f"{found}{dollars(prices[cheapest])}", f"raise {place}: as it is, nothing is ever bought")


def _check_deadline(lane: _Lane) -> Iterator[Finding]:
    """Find a deadline that cuts the first call of a field short."""
    first = {order[0] for order in asked_orders(lane.plan, lane.enabled, {}).values() if order}
    slowest = max((lane.enabled[name] for name in first), key=lambda lookup: lookup.timeout_seconds, default=None)
    if slowest is None or lane.plan.deadline_seconds >= slowest.timeout_seconds:
        return
    found = (
        f"{lane.name}: its deadline of {lane.plan.deadline_seconds:g} s ends before the timeout of {slowest.name}, "
        f"{slowest.timeout_seconds:g} s: a slow call is cut short"
    )
    yield hint("plans", found, f"if that is not meant, raise {lane.place}.deadline_seconds")
