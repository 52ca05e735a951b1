"""In which order lookups are asked for one field. Pure; the engine, ``enrichment plan`` and ``doctor`` share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf

from enrichment_dagster.domain.fields import FIELDS
from enrichment_dagster.ports import Lookup


def asked_order(
    names: Sequence[str],
    lookups: Mapping[str, Lookup],
    prefer: str,
    p50_ms: Mapping[str, float],
    demoted: frozenset[str],
) -> tuple[str, ...]:
    """Return ``names`` in the order in which they are asked, without those that are not in ``lookups``.

    ``names`` is a field's order, the most trusted first; it also decides ties. ``prefer`` is a plan's: "listed",
    "cheapest" (by price) or "fastest" (by ``p50_ms``, which is by lookup; what was not observed comes behind). Lookups
    of the providers in ``demoted`` come last, among each other in the same order.

    Raises:
        ValueError: ``prefer`` is something else.
    """
    weights: Mapping[str, Callable[[str], float]] = {
        "listed": lambda _: 0.0,
        "cheapest": lambda name: lookups[name].price_micros,
        "fastest": lambda name: p50_ms.get(name, inf),
    }
    if prefer not in weights:
        raise ValueError(f"prefer must be one of {', '.join(weights)}; it is {prefer}")
    weight = weights[prefer]
    known = [name for name in dict.fromkeys(names) if name in lookups]
    return tuple(sorted(known, key=lambda name: (lookups[name].provider in demoted, weight(name))))


def listed_order(field: str, waterfall: Sequence[str], orders: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Return the lookups that a plan lists for a field: its own order, or that of its group, or the waterfall."""
    return orders.get(field) or orders.get(FIELDS[field].group) or waterfall


def candidates(field: str, listed: Sequence[str], lookups: Mapping[str, Lookup]) -> tuple[str, ...]:
    """Return those of the listed lookups that can be asked and may give the field."""
    return tuple(name for name in listed if name in lookups and field in lookups[name].gives)
