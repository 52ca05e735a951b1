"""What the gateway does beside requests: pump the journal, evaluate the quick checks, notice a dead daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.routing_result import RoutingCounts
from enrichment_dagster.gateway.deps import Background
from enrichment_dagster.monitoring.checks import DEAD_DAEMON, Verdict

PUMP_SECONDS = 1.0
CHECK_SECONDS = 20.0
REPEAT_REPORT = timedelta(minutes=10)
"""A verdict that does not change is reported this often: each evaluation takes 3 kB in Dagster for a month."""

RENEW_REPORT = timedelta(minutes=1)
"""Dagster shows a check's result until its asset is materialized again; it is told anew at most this often."""

_RUN_ENDS = timedelta(seconds=5)  # a run notes its materialization a moment before Dagster has it

_log = structlog.get_logger(__name__)

Evaluate = Callable[[], Mapping[str, Sequence[Verdict]]]
Report = Callable[[str, Verdict], None]


@dataclass(slots=True)
class CheckReporter:
    """Decides which verdicts are worth reporting: changes at once, the rest now and then."""

    evaluate: Evaluate
    report: Report
    clock: Clock
    materialized: Callable[[str], datetime | None] = lambda _event_type: None  # when the lane's asset last was
    renew_after: Mapping[str, timedelta] = field(default_factory=dict)  # by lane, instead of ``RENEW_REPORT``
    _told: dict[tuple[str, str], tuple[tuple[bool, bool], datetime]] = field(default_factory=dict)

    def step(self) -> int:
        """Evaluate all checks and report what is due; returns how many were reported."""
        reported = 0
        for event_type, verdicts in self.evaluate().items():
            for verdict in verdicts:
                if self._is_news(event_type, verdict):
                    self.report(event_type, verdict)
                    self._told[event_type, verdict.check] = (_gist(verdict), self.clock.now())
                    reported += 1
        return reported

    def _is_news(self, event_type: str, verdict: Verdict) -> bool:
        told = self._told.get((event_type, verdict.check))
        if told is None or told[0] != _gist(verdict):
            return True
        silent = abs(self.clock.now() - told[1])  # a clock that was put back makes a verdict look as if from the future
        soon = self.renew_after.get(event_type, RENEW_REPORT)
        return silent >= REPEAT_REPORT or (silent >= soon and self._is_outdated(event_type, told[1]))

    def _is_outdated(self, event_type: str, told_at: datetime) -> bool:
        materialized = self.materialized(event_type)
        return materialized is not None and told_at < materialized + _RUN_ENDS


def _gist(verdict: Verdict) -> tuple[bool, bool]:
    """Return what of a verdict is news when it changes: passed or not, on events or on none."""
    return verdict.passed, bool(verdict.numbers.get("samples"))


@dataclass(slots=True)
class RoutingReporter:
    """Reports what all processes have routed together: once a minute at most, and only if there was anything."""

    take: Callable[[], RoutingCounts]
    report: Callable[[RoutingCounts], None]
    clock: Clock
    _told_at: float | None = None  # monotonic: a clock that is put back must not stop the reports

    def step(self) -> bool:
        """Report if it is time; says whether anything was reported."""
        now = self.clock.monotonic()
        if self._told_at is not None and now - self._told_at < RENEW_REPORT.total_seconds():
            return False
        counts = self.take()
        if counts.is_empty:
            return False
        self._told_at = now
        self.report(counts)
        return True


def every(seconds: float, name: str, step: Callable[[], object], clock: Clock) -> Background:
    """Return a background task that does ``step`` in a thread, again and again; a failure is logged and tried anew."""

    async def loop() -> None:
        while True:
            try:
                await asyncio.to_thread(step)
            except Exception:  # noqa: BLE001 - a store that is away for a while must not end housekeeping
                _log.exception("housekeeping failed", task=name)
            await clock.sleep(seconds)

    loop.__qualname__ = name
    return loop


def watch_daemon(last_tick: Callable[[], datetime | None], clock: Clock) -> Callable[[], None]:
    """Return a step that says, once per outage, that no sensor ticks. An outage is counted from now at the earliest."""
    state, begun = {"dead": False}, clock.now()

    def step() -> None:
        age = clock.now() - max(last_tick() or begun, begun)
        dead = age > DEAD_DAEMON
        if dead and not state["dead"]:
            _log.error("no sensor has ticked; events are safe but wait", seconds=round(age.total_seconds()))
        if state["dead"] and not dead:
            _log.info("sensors tick again")
        state["dead"] = dead

    return step
