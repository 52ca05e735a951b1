"""Tells Dagster what happened outside its runs: the one module that reports runless events."""

from __future__ import annotations

from typing import Any

from dagster import AssetCheckEvaluation, AssetCheckSeverity, AssetKey, AssetMaterialization, DagsterInstance

from assets.lanes import LANES, ROUTED
from assets.metadata import routing_metadata
from enrichment_dagster.engine.routing_result import RoutingCounts
from enrichment_dagster.monitoring.checks import Verdict
from enrichment_dagster.verdicts import WRITEBACK, routing_key

_ASSETS = {
    **{lane.event_type: lane.asset for lane in LANES},
    **{routing_key(lane.event_type): lane.routing for lane in ROUTED},
    WRITEBACK: WRITEBACK,
}


def _told(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict's numbers; of no samples nothing but that: each evaluation is kept for a month."""
    return dict(verdict.numbers) if verdict.numbers.get("samples") else {"samples": 0}


class DagsterReporter:
    """Reports to the instance that ``DAGSTER_HOME`` names; each event costs some 10 ms and 3 kB."""

    def __init__(self) -> None:
        self._instance = DagsterInstance.get()

    def report(self, lane: str, verdict: Verdict) -> None:
        """Store a verdict as an evaluation of the asset check of the same name; no lane, no check, no report.

        ``lane`` is an event type, its ``verdicts.routing_key``, or ``verdicts.WRITEBACK``.
        """
        asset = _ASSETS.get(lane)
        if asset is None:
            return
        evaluation = AssetCheckEvaluation(
            asset_key=AssetKey([asset]),
            check_name=verdict.check,
            passed=verdict.passed,
            metadata=_told(verdict),
            severity=AssetCheckSeverity.ERROR if verdict.severe else AssetCheckSeverity.WARN,
            description=verdict.message,
        )
        self._instance.report_runless_asset_event(evaluation)

    def report_routing(self, counts: RoutingCounts) -> list[str]:
        """Store one materialization for all that was routed since the last one; returns the lanes that have it."""
        answers = sum(counts.outcomes.values())
        for lane in ROUTED:
            self._instance.report_runless_asset_event(
                AssetMaterialization(
                    asset_key=AssetKey([lane.routing]),
                    metadata=dict(routing_metadata(counts)),
                    description=f"{answers} leads routed by the gateway since the last report.",
                )
            )
        return [routing_key(lane.event_type) for lane in ROUTED]
