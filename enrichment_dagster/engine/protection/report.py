"""How one call went."""

from __future__ import annotations

from dataclasses import dataclass

from enrichment_dagster.domain.quota import Quota
from enrichment_dagster.engine.protection.verdict import Verdict

_ROUNDING_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class CallReport:
    """How one call went. ``latency_ms`` runs from its sending, ``retry_after_seconds`` is what the vendor asked for."""

    purpose: str
    verdict: Verdict
    latency_ms: int
    throttled: bool = False
    retry_after_seconds: float | None = None
    quota: Quota | None = None

    def began_at(self, now: float) -> float:
        """Return when the call was sent, if it is reported at once; latencies are whole milliseconds."""
        return now - self.latency_ms / 1_000 + _ROUNDING_SECONDS
