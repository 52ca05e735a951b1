"""How the providers do at present, read from what all processes have seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enrichment_dagster.domain.config import EnrichmentConfig, ProviderConfig
from enrichment_dagster.engine.protection import BreakerPolicy, ProviderPolicy, ProviderState, Standing, SwitchPolicy
from enrichment_dagster.engine.protection import standing as standing_of

CLOSED = "closed"


def build_standings(config: EnrichmentConfig, states: Mapping[str, Any], now: float) -> dict[str, Standing]:
    """Return the standing of every enabled provider at ``now``, in UTC epoch seconds; ``states`` as they are stored."""
    return {
        name: standing_of(ProviderState.from_json(states.get(name)), _policy(config, provider), now)
        for name, provider in config.providers.items()
        if provider.enabled
    }


def _policy(config: EnrichmentConfig, provider: ProviderConfig) -> ProviderPolicy:
    limits, breaker, switch = provider.limits, config.protection.breaker, config.protection.switch
    return ProviderPolicy(
        per_second=limits.per_second,
        burst=limits.burst,
        concurrency=limits.concurrency,
        lifetime_calls=limits.lifetime_calls,
        breaker=BreakerPolicy(**breaker.model_dump()),
        switch=SwitchPolicy(**switch.model_dump()),
    )


def demoted_providers(standings: Mapping[str, Standing]) -> frozenset[str]:
    """Return the providers behind all others: their success fell too low."""
    return frozenset(name for name, found in standings.items() if found.demoted)


def p50_by_lookup(standings: Mapping[str, Standing]) -> dict[str, float]:
    """Return the usual latency in milliseconds of each lookup that was called often enough."""
    return {
        f"{name}.{purpose}": p50 for name, found in standings.items() for purpose, (p50, _) in found.latency_ms.items()
    }


def standing_text(breaker: str, *, demoted: bool) -> str:
    """Return what is wrong with a provider, in words; empty where all is well."""
    parts = [] if breaker == CLOSED else [f"breaker {breaker.replace('_', '-')}"]
    return ", ".join([*parts, *(["demoted: others are asked first"] if demoted else [])])
