"""How long a provider's answers take: a log-spaced histogram that forgets slowly."""

from __future__ import annotations

from math import ceil, exp, log
from typing import Any

from enrichment_dagster.engine.protection.codec import all_counts

BUCKETS = 32
MIN_SAMPLES = 20
"""Fewer samples than this say nothing of the tail."""

_LOWEST_MS, _HIGHEST_MS = 10.0, 60_000.0
_MAX_SAMPLES = 500
_STEP = log(_HIGHEST_MS / _LOWEST_MS) / (BUCKETS - 1)
_EMPTY = (0,) * BUCKETS

Counts = tuple[int, ...]
"""Samples per bucket. Bucket i ends, inclusive, at 10 ms * e^(i * step); the last one has all beyond as well."""

Latencies = tuple[tuple[str, Counts], ...]
"""Purpose and counts."""


def with_sample(latencies: Latencies, purpose: str, latency_ms: int) -> Latencies:
    """Return the histograms with one more sample; old ones weigh half when there are many."""
    index = _bucket_of(latency_ms)
    old = next((counts for name, counts in latencies if name == purpose), None)
    counts = old or _EMPTY
    counts = (*counts[:index], counts[index] + 1, *counts[index + 1 :])
    if sum(counts) > _MAX_SAMPLES:
        counts = tuple(number // 2 for number in counts)
    if old is None:
        return (*latencies, (purpose, counts))
    return tuple((name, counts if name == purpose else others) for name, others in latencies)


def quantiles(latencies: Latencies) -> dict[str, tuple[float, float]]:
    """Return p50 and p95 in milliseconds of every purpose with enough samples."""
    return {
        purpose: (_quantile(counts, 0.5), _quantile(counts, 0.95))
        for purpose, counts in latencies
        if sum(counts) >= MIN_SAMPLES
    }


def read_latencies(raw: dict[Any, Any]) -> Latencies:
    """Return histograms from JSON: purpose -> counts.

    Raises:
        ValueError, TypeError: it is something else.
    """
    for purpose, counts in raw.items():
        if type(purpose) is not str or len(counts) != BUCKETS:
            raise ValueError("not a histogram")
    return tuple((purpose, tuple(all_counts(counts))) for purpose, counts in raw.items())


def _bucket_of(latency_ms: int) -> int:
    if latency_ms <= _LOWEST_MS:
        return 0
    return min(BUCKETS - 1, ceil(log(latency_ms / _LOWEST_MS) / _STEP))


def _quantile(counts: Counts, share: float) -> float:
    """Return the latency that this share of the samples does not exceed, interpolated inside its bucket."""
    rank = share * sum(counts)
    below = 0
    for index, number in enumerate(counts):
        if number and below + number >= rank:
            return _LOWEST_MS * exp(_STEP * (index - 1 + (rank - below) / number))
        below += number
    return _HIGHEST_MS
