"""The breaker: a provider that fails is left alone for a while, then tried with one call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from enrichment_dagster.engine.protection.codec import count, seconds
from enrichment_dagster.engine.protection.latency import Latencies, quantiles
from enrichment_dagster.engine.protection.policy import BreakerPolicy
from enrichment_dagster.engine.protection.window import EMPTY, Window

PROBE_LEASE_SECONDS = 30.0
"""How long others wait for the one probe: longer than a call takes, so that only a killed process's lease runs out."""

_PROBE_POLL_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """Closed while ``open_for`` is 0; open until ``open_until``, and half-open from then on."""

    window: Window = EMPTY
    failures_in_row: int = 0
    open_for: float = 0.0
    open_until: float = 0.0
    probe_until: float = 0.0  # end of the lease of the probe that is in flight
    failing_since: float = 0.0  # so many have failed since then that it opens, if it goes on; 0 = not so many

    def phase(self, now: float) -> str:
        """Return "closed", "open" or "half_open"."""
        if not self.open_for:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def refused_until(self, now: float) -> float | None:
        """Return when to ask again, or None if a call may be made now."""
        if not self.open_for:
            return None
        if now < self.open_until:
            return self.open_until
        return min(self.probe_until, now + _PROBE_POLL_SECONDS) if now < self.probe_until else None

    def sending(self, send_at: float) -> Breaker:
        """Return the breaker after a call was admitted: the one in half-open is the probe."""
        return replace(self, probe_until=send_at + PROBE_LEASE_SECONDS) if self.open_for else self

    def observe(
        self, policy: BreakerPolicy, *, failed: bool, began_at: float, now: float, latencies: Latencies
    ) -> Breaker:
        """Return the breaker after a call that says something of the provider's health."""
        if not self.open_for:
            return self._count(policy, latencies, failed=failed, now=now)
        if now < self.open_until or began_at < self.open_until - self.open_for:
            return self  # sent before it opened: the past decides nothing about the probe
        return _opened(min(self.open_for * 2, policy.max_open_seconds), now) if failed else Breaker()

    def put_back(self, by: float, now: float) -> Breaker:
        """Return the breaker after the clock was put back: an open one is half-open at once."""
        return Breaker(self.window.shifted(by), self.failures_in_row, self.open_for, now if self.open_for else 0.0)

    def to_json(self) -> list[Any]:
        """Return the fields in order."""
        window = self.window.to_json()
        return [window, self.failures_in_row, self.open_for, self.open_until, self.probe_until, self.failing_since]

    @classmethod
    def from_json(cls, raw: list[Any]) -> Breaker:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError, TypeError: it is something else.
        """
        window, in_row, *times = raw
        open_for, open_until, probe_until, failing_since = map(seconds, times)
        return cls(Window.from_json(window), count(in_row), open_for, open_until, probe_until, failing_since)

    def _count(self, policy: BreakerPolicy, latencies: Latencies, *, failed: bool, now: float) -> Breaker:
        window = self.window.add(failed=failed, now=now, window_seconds=policy.window_seconds)
        in_row = self.failures_in_row + 1 if failed else 0
        calls, failures = window.totals(now, policy.window_seconds)
        often = failures > 0 and calls >= policy.min_calls and failures / calls >= policy.failure_share
        if not often and in_row < policy.consecutive_failures:
            return Breaker(window, in_row)
        since = self.failing_since or now
        if _lasts(now - since, policy, latencies):
            return _opened(policy.open_seconds, now)
        return Breaker(window, in_row, failing_since=since)


def _lasts(elapsed: float, policy: BreakerPolicy, latencies: Latencies) -> bool:
    """Say whether calls that were sent together with those that failed would have been answered by now."""
    if not policy.min_seconds:
        return True
    if elapsed < policy.min_seconds:
        return False
    slow = max((p95 for _, p95 in quantiles(latencies).values()), default=0.0) / 1_000
    return elapsed >= min(slow, _LONGEST_WAIT_SECONDS)


def _opened(duration: float, now: float) -> Breaker:
    return Breaker(open_for=duration, open_until=now + duration)
