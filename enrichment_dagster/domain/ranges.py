"""The ranges of numbers that make sense, for quick checks and for the schema of the ledger alike."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from enrichment_dagster.domain.fields import Value

MAX_MONEY = 1e13

RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "employees": (1, 5_000_000),
        "annual_revenue": (0, MAX_MONEY),
        "total_funding": (0, MAX_MONEY),
        "employee_growth": (-1, 100),  # as a share: all staff gone, a hundredfold more
        "intent_score": (0, 100),
    }
)
"""Lowest and highest value of a field."""


def out_of_range(field: str, value: Value) -> bool:
    """Say whether a number makes no sense for its field."""
    limits = RANGES.get(field)
    return limits is not None and isinstance(value, int | float) and not limits[0] <= value <= limits[1]
