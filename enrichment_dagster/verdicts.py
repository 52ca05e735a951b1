"""The checks, evaluated now: store queries joined with the rules of ``monitoring``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.config import EventTypeConfig
from enrichment_dagster.monitoring.checks import (
    COVERAGE,
    LATENCY,
    MOST_WRITES_AN_HOUR,
    NO_LOOPS,
    ROUTING,
    VIOLATIONS,
    Verdict,
    coverage_verdict,
    latency_verdict,
    loops_verdict,
    routing_verdict,
    violations_verdict,
)
from enrichment_dagster.store.health import HealthStore
from enrichment_dagster.store.loops import LoopStore

LATENCY_WINDOW = timedelta(hours=1)
LOOP_WINDOW = timedelta(hours=1)
QUALITY_WINDOW = timedelta(hours=24)
MAX_VIOLATIONS = 0.05

SLOW_EVERY = timedelta(minutes=2)
_SLOW = [COVERAGE, VIOLATIONS]

CHECKS = {
    LATENCY: "Events end within their target, measured from the sender's clock to the CRM's confirmation (last hour).",
    COVERAGE: "Enough of the wanted fields are filled (last 24 hours).",
    VIOLATIONS: "Few values break their field's rules and go to quarantine (last 24 hours).",
}

ROUTING_CHECKS = {
    ROUTING: "Leads are routed within 3 seconds, measured from their receipt to the CRM's confirmation (last hour).",
}

WRITEBACK = "crm_writeback"
"""The asset of what is written to CRMs, and the name under which its checks are reported."""

WRITEBACK_CHECKS = {
    NO_LOOPS: "What we write to the CRMs comes back as no event that is enriched again (last hour).",
}


def routing_key(event_type: str) -> str:
    """Return the name under which an event type's routing lane is reported and gives signs of life."""
    return f"{event_type}/routing"


class Evaluator:
    """Evaluates the checks of all lanes again and again: what must be noticed at once each time, the rest now and then.

    Latencies change within seconds. What a day's fields and values come to does not, and costs a look at all of them.
    """

    def __init__(self, health: HealthStore, event_types: Mapping[str, EventTypeConfig], clock: Clock) -> None:
        self._health = health
        self._event_types = event_types
        self._clock = clock
        self._slow: dict[str, list[Verdict]] = {}
        self._slow_at: float | None = None  # monotonic: a clock that is put back must not stop the looks

    def evaluate_all(self) -> dict[str, list[Verdict]]:
        """Return the verdicts of all lanes, by event type and, of routing lanes, by their key."""
        now, elapsed = self._clock.now(), self._clock.monotonic()
        if self._slow_at is None or elapsed - self._slow_at >= SLOW_EVERY.total_seconds():
            self._slow = {name: self._of(name, _SLOW, now) for name in self._event_types}
            self._slow_at = elapsed
        found = {}
        for name, config in self._event_types.items():
            found[name] = [*self._of(name, [LATENCY], now), *self._slow[name]]
            if config.lanes.routing is not None:
                found[routing_key(name)] = self._of(name, list(ROUTING_CHECKS), now)
        return found

    def _of(self, event_type: str, checks: list[str], now: datetime) -> list[Verdict]:
        return evaluate(self._health, event_type, self._event_types[event_type], checks, now)


def evaluate_writeback(loops: LoopStore) -> list[Verdict]:
    """Return the verdicts on what is written to CRMs."""
    rate = loops.write_rate(LOOP_WINDOW, MOST_WRITES_AN_HOUR)
    refused = loops.refused(LOOP_WINDOW)
    return [loops_verdict(writes=rate.writes, busiest=rate.busiest, records_over=rate.records_over, refused=refused)]


def evaluate(
    health: HealthStore, event_type: str, config: EventTypeConfig, checks: list[str], now: datetime
) -> list[Verdict]:
    """Return the verdicts of these checks of a lane, in the given order."""
    return [_evaluate(health, event_type, config, check, now) for check in checks]


def _evaluate(health: HealthStore, event_type: str, config: EventTypeConfig, check: str, now: datetime) -> Verdict:
    if check == LATENCY:
        return latency_verdict(health.journeys(event_type, LATENCY_WINDOW), config.latency_target_seconds, now)
    if check == ROUTING:
        return routing_verdict(*health.routings(event_type, LATENCY_WINDOW), now)
    if check == COVERAGE:
        missing = health.missing_fields(event_type, QUALITY_WINDOW)
        return coverage_verdict(missing, config.lanes.standard.fields, config.min_coverage)
    return violations_verdict(*health.stored_and_quarantined(event_type, QUALITY_WINDOW), MAX_VIOLATIONS)
