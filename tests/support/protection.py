"""Calls to a provider as its protection sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from enrichment_dagster.engine.protection import (
    Admitted,
    BreakerPolicy,
    CallReport,
    Denied,
    ProviderPolicy,
    ProviderState,
    Quota,
    Standing,
    Verdict,
    admit,
    observe,
    standing,
)

NOW = 1_790_000_000.0
"""Some moment of 2026 in UTC epoch seconds."""


def report(verdict: Verdict = Verdict.OK, *, latency_ms: int = 0, purpose: str = "person", **more) -> CallReport:
    return CallReport(purpose, verdict, latency_ms, **more)


def throttled(retry_after: float | None = None, quota: Quota | None = None) -> CallReport:
    return report(Verdict.NEUTRAL, throttled=True, retry_after_seconds=retry_after, quota=quota)


AT_ONCE = BreakerPolicy(min_seconds=0)
"""Opens without waiting for answers that may still come."""


@dataclass
class Desk:
    """One provider's state, and a clock in seconds since NOW that tests move by hand."""

    policy: ProviderPolicy = field(default_factory=lambda: ProviderPolicy(breaker=AT_ONCE))
    state: ProviderState = field(default_factory=ProviderState)
    time: float = 0.0

    def ask(self, *, in_flight: int = 0, patience: float = math.inf) -> Admitted | Denied:
        now = NOW + self.time
        before = self.state
        self.state, decision = admit(before, self.policy, now=now, in_flight=in_flight, send_before=now + patience)
        if isinstance(decision, Denied):
            assert self.state is before
        return decision

    def send_times(self, calls: int) -> list[float]:
        """Admit calls; seconds from now after which each may be sent."""
        found = [self.ask() for _ in range(calls)]
        return [round(one.send_at - NOW - self.time, 4) for one in found if isinstance(one, Admitted)]

    def hear(self, *reports: CallReport) -> None:
        for one in reports:
            self.state = observe(self.state, self.policy, one, now=NOW + self.time)

    def ok(self, count: int = 1, **more) -> None:
        self.hear(*[report(Verdict.OK, **more)] * count)

    def fail(self, count: int = 1, **more) -> None:
        self.hear(*[report(Verdict.FAILURE, **more)] * count)

    @property
    def standing(self) -> Standing:
        return standing(self.state, self.policy, NOW + self.time)
