"""How a provider stands at present, for whoever orders providers or shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enrichment_dagster.engine.protection.latency import quantiles
from enrichment_dagster.engine.protection.policy import ProviderPolicy
from enrichment_dagster.engine.protection.state import ProviderState


@dataclass(frozen=True, slots=True)
class Standing:
    """A provider at a moment. ``calls`` and ``failures`` are those of the switch's window."""

    breaker: str  # "closed" | "open" | "half_open"
    demoted: bool  # others are asked first
    calls: int
    failures: int
    paused_until: float  # 0 = it does not ask us to wait
    lifetime_calls: int
    latency_ms: Mapping[str, tuple[float, float]]  # purpose -> p50, p95; absent below 20 samples
    probe_due: bool = False  # demoted, but to be asked first once: no call has tried it for a while


def standing(state: ProviderState, policy: ProviderPolicy, now: float) -> Standing:
    """Return how the provider stands at ``now``."""
    current = state.at(now)
    calls, failures = current.switch.window.totals(now, policy.switch.window_seconds)
    paused_until = current.rate.paused_until
    return Standing(
        breaker=current.breaker.phase(now),
        demoted=current.switch.demoted,
        calls=calls,
        failures=failures,
        paused_until=paused_until if paused_until > now else 0.0,
        lifetime_calls=current.lifetime_calls,
        latency_ms=quantiles(current.latencies),
        probe_due=current.switch.probe_due(policy.switch, now),
    )
