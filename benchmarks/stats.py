"""Percentiles and what is kept of a series."""

from __future__ import annotations

import math
from collections.abc import Sequence

KEPT_SAMPLES = 600
"""A longer series is kept as percentiles only."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile: the smallest value that at least ``share`` of all values do not exceed."""
    if not values:
        raise ValueError("no values")
    if not 0 < share <= 1:
        raise ValueError("a share lies between 0 and 1")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return a series in numbers."""
    if not values:
        return {"n": 0}
    shares = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
    return {
        "n": len(values),
        "min": round(min(values), 3),
        **{name: round(percentile(values, share), 3) for name, share in shares.items()},
        "max": round(max(values), 3),
        "mean": round(sum(values) / len(values), 3),
    }


def schedule(rate: float, count: int, gaps: Sequence[float]) -> list[float]:
    """Return when each of ``count`` requests is due, in seconds; ``gaps`` are random gaps with a mean of one."""
    due, moments = 0.0, []
    for index in range(count):
        due += gaps[index % len(gaps)] / rate
        moments.append(due)
    return moments
