"""The rate limit of all processes together: a token bucket that books slots ahead, and what vendors' replies teach.

The bucket is GCRA, one number: https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from enrichment_dagster.domain.quota import Quota
from enrichment_dagster.engine.protection.codec import count, seconds
from enrichment_dagster.engine.protection.policy import ProviderPolicy
from enrichment_dagster.engine.protection.report import CallReport

MAX_PAUSE_SECONDS = 300.0
"""Longest pause that one reply can bring: a wrong header must not silence a provider for a day."""

MAX_PACE_WINDOW_SECONDS = 300.0
"""Limits over longer windows are allowances, not a pace: they may be used at once, and their end is a pause."""

_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Rate:
    """``arrival`` is GCRA's theoretical arrival time: the bucket is full again when it has passed."""

    arrival: float = 0.0
    paused_until: float = 0.0
    limit: int = 0  # calls per ``limit_seconds``, as the vendor's headers say; 0 = they said nothing
    limit_seconds: float = 0.0

    def book(self, policy: ProviderPolicy, now: float, weight: float = 1.0) -> tuple[float, Rate]:
        """Return when the next call may be sent, and the state if it takes that slot.

        ``weight`` is its share of a call: less than 1 where several queries go in one.
        """
        earliest = max(now, self.paused_until)
        per_second, burst = self._pace(policy)
        if per_second is None:
            return earliest, self
        interval = 1 / per_second
        send_at = max(earliest, self.arrival - (burst - 1) * interval)
        arrival = max(self.arrival, send_at) + interval * weight
        return send_at, Rate(arrival, self.paused_until, self.limit, self.limit_seconds)

    def observe(self, report: CallReport, now: float) -> Rate:
        """Return the state after a reply: a pause that it asks for, a limit that it names."""
        quota = report.quota
        if quota is None and not report.throttled:
            return self
        paused_until = max(self.paused_until, now + _pause_of(report))
        limit, limit_seconds = _limit_of(quota) or (self.limit, self.limit_seconds)
        return Rate(self.arrival, paused_until, limit, limit_seconds)

    def without_waits(self) -> Rate:
        """Return the state with a full bucket and no pause; the learned limit stays."""
        return Rate(limit=self.limit, limit_seconds=self.limit_seconds)

    def to_json(self) -> list[float]:
        """Return the fields in order."""
        return [self.arrival, self.paused_until, self.limit, self.limit_seconds]

    @classmethod
    def from_json(cls, raw: list[Any]) -> Rate:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError, TypeError: it is something else.
        """
        arrival, paused_until, limit, limit_seconds = raw
        return cls(seconds(arrival), seconds(paused_until), count(limit), seconds(limit_seconds))

    def _pace(self, policy: ProviderPolicy) -> tuple[float | None, int]:
        """Return calls per second and burst: the configured ones, or the vendor's where they are smaller."""
        if not self.limit or self.limit_seconds <= 0:
            return policy.per_second, policy.burst
        learned, burst = self.limit / self.limit_seconds, min(policy.burst, self.limit)
        return (learned if policy.per_second is None else min(learned, policy.per_second)), burst


def _pause_of(report: CallReport) -> float:
    """Return for how many seconds nobody may call."""
    pause, quota = 0.0, report.quota
    if report.throttled:
        pause = _PAUSE_SECONDS if report.retry_after_seconds is None else report.retry_after_seconds
    if quota is not None and quota.remaining is not None and quota.remaining <= 0:
        pause = max(pause, quota.resets_in_seconds or 0.0)
    return min(max(pause, 0.0), MAX_PAUSE_SECONDS)


def _limit_of(quota: Quota | None) -> tuple[int, float] | None:
    """Return the calls and seconds of a limit that sets a pace."""
    if quota is None or not quota.limit or not quota.window_seconds:
        return None
    if quota.limit < 0 or not 0 < quota.window_seconds <= MAX_PACE_WINDOW_SECONDS:
        return None
    return quota.limit, quota.window_seconds
