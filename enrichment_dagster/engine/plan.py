"""The plan of one event type and lane: what is wanted, who may give it in which order, and what that may take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from enrichment_dagster.domain.eligibility import Rules
from enrichment_dagster.domain.event import Lane
from enrichment_dagster.domain.fields import FIELDS, Level
from enrichment_dagster.engine.ordering import candidates, listed_order
from enrichment_dagster.ports import Lookup

UNLISTED = 1_000
"""Precedence from which on a value comes from a lookup that the plan does not list for the field: a last resort."""

Mode = Literal["sequential", "parallel", "hedged"]
Prefer = Literal["listed", "cheapest", "fastest"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one lane of an event type does. ``lookups`` are by name, in the order in which the plan lists them."""

    event_type: str
    wanted: tuple[str, ...]
    lookups: Mapping[str, Lookup]
    orders: Mapping[str, tuple[str, ...]]  # field: names of the lookups that may fill it, the most trusted first
    deadline_seconds: float
    follow_up_seconds: tuple[float, ...]
    value_ttl: timedelta
    lane: str = "standard"
    mode: Mode = "sequential"
    prefer: Prefer = "cheapest"
    budget_micros: int | None = None  # what one event may cost
    rules: Rules = field(default_factory=Rules)
    places: Mapping[str, int] = field(default_factory=dict)  # lookup name: its place in the list
    useful: frozenset[str] = frozenset()  # not wanted, but worth a moment when a call for it is under way

    @property
    def offered(self) -> frozenset[str]:
        """Return all fields that the plan's lookups can fill."""
        return frozenset(name for name, names in self.orders.items() if names)

    @property
    def about_people(self) -> bool:
        """Say whether anything is wanted of a person; else it is all about their company."""
        return any(FIELDS[name].level is Level.CONTACT for name in self.wanted)

    def place_of(self, name: str, provider: str) -> int:
        """Return the best place of a provider in a field's order; after all others where the plan does not list it."""
        order = self.orders.get(name, ())
        places = [place for place, lookup in enumerate(order, 1) if self.lookups[lookup].provider == provider]
        return min(places, default=UNLISTED - 1)

    def precedence(self, name: str, lookup: str) -> int:
        """Return the place of a lookup in a field's order: 1 is the most trusted. What it gives unasked comes last.

        For the routing lane that is all that it does not want: there the quickest answers, and the standard lane, which
        goes on with its results, has an order of its own for the rest.
        """
        order = self.orders.get(name, ())
        if lookup not in order:
            return UNLISTED + len(order) + 1 + self.places.get(lookup, 0)
        unasked = self.lane == Lane.ROUTING and name not in self.wanted
        return 1 + order.index(lookup) + (UNLISTED if unasked else 0)


def make_plan(
    event_type: str,
    lookups: Sequence[Lookup],
    *,
    wanted: Sequence[str],
    waterfall: Sequence[str] | None = None,
    own_orders: Mapping[str, Sequence[str]] | None = None,
    deadline_seconds: float,
    follow_up_seconds: Sequence[float],
    value_ttl: timedelta,
    lane: str = "standard",
    mode: Mode = "sequential",
    prefer: Prefer = "cheapest",
    budget_micros: int | None = None,
    rules: Rules | None = None,
    useful: Iterable[str] = (),
) -> Plan:
    """Return a plan; ``waterfall`` is the order of all fields but those that ``own_orders`` (fields, groups) names."""
    by_name = {lookup.name: lookup for lookup in lookups}
    common = list(by_name) if waterfall is None else waterfall
    orders = {name: candidates(name, listed_order(name, common, own_orders or {}), by_name) for name in FIELDS}
    return Plan(
        event_type=event_type,
        wanted=tuple(wanted),
        lookups=by_name,
        orders=orders,
        deadline_seconds=deadline_seconds,
        follow_up_seconds=tuple(follow_up_seconds),
        value_ttl=value_ttl,
        lane=lane,
        mode=mode,
        prefer=prefer,
        budget_micros=budget_micros,
        rules=rules or Rules(),
        places={name: place for place, name in enumerate(by_name)},
        useful=frozenset(useful),
    )
