"""Tells Dagster what happened outside its runs: the one module that reports runless events."""

from __future__ import annotations

from dagster import AssetCheckEvaluation, AssetCheckSeverity, AssetKey, DagsterInstance

from assets.lanes import LANES
from enrichment_dagster.monitoring.checks import Verdict

_ASSETS = {lane.event_type: lane.asset for lane in LANES}


class DagsterReporter:
    """Reports check verdicts to the instance that ``DAGSTER_HOME`` names; each costs some 10 ms and 3 kB."""

    def __init__(self) -> None:
        self._instance = DagsterInstance.get()

    def report(self, event_type: str, verdict: Verdict) -> None:
        """Store a verdict as an evaluation of the asset check of the same name; no lane, no check, no report."""
        asset = _ASSETS.get(event_type)
        if asset is None:
            return
        evaluation = AssetCheckEvaluation(
            asset_key=AssetKey([asset]),
            check_name=verdict.check,
            passed=verdict.passed,
            metadata=dict(verdict.numbers),
            severity=AssetCheckSeverity.ERROR if verdict.severe else AssetCheckSeverity.WARN,
            description=verdict.message,
        )
        self._instance.report_runless_asset_event(evaluation)
