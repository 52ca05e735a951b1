"""Percentiles of latencies, and which hop of an event's way was slow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share (0..1) of the values do not exceed; 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


@dataclass(frozen=True, slots=True)
class Journey:
    """The times of one event; None = not reached yet."""

    occurred_at: datetime
    received_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    delivered_at: datetime | None
    awaits_delivery: bool  # a write to its CRM is still owed

    def hops(self, now: datetime) -> dict[str, float]:
        """Return the seconds of each hop so far; an open hop counts up to now."""
        stations = [
            ("ingest_lag", self.occurred_at, self.received_at),
            ("queue_wait", self.received_at, self.started_at),
            ("processing", self.started_at, self.finished_at),
            ("delivery", self.finished_at, self.delivered_at if not self.awaits_delivery else None),
        ]
        found = {}
        for name, begin, end in stations:
            if begin is None:
                continue
            if name == "delivery" and not self.awaits_delivery and end is None:
                continue  # nothing was to be delivered
            found[name] = max(0.0, ((end or now) - begin).total_seconds())
        return found

    @property
    def is_open(self) -> bool:
        """Say whether the event is still on its way."""
        return self.finished_at is None or self.awaits_delivery

    def seconds(self, now: datetime) -> float:
        """Return the end-to-end latency; of an open event its present age."""
        end = now if self.is_open else (self.delivered_at or self.finished_at or now)
        return max(0.0, (end - self.occurred_at).total_seconds())
