"""Asset checks of a lane. The gateway reports the same verdicts every few seconds; here they run from the UI."""

from collections.abc import Iterator

import dagster as dg

from assets.lanes import Lane
from enrichment_dagster.clock import SystemClock
from enrichment_dagster.monitoring.checks import Verdict
from enrichment_dagster.resources import EnrichmentResource
from enrichment_dagster.verdicts import CHECKS, evaluate


def lane_checks(lane: Lane) -> dg.AssetChecksDefinition:
    """Return the checks of a lane."""
    specs = [dg.AssetCheckSpec(name, asset=lane.asset, description=text) for name, text in CHECKS.items()]

    @dg.multi_asset_check(name=f"{lane.asset}_checks", specs=specs, can_subset=True)
    def _checks(
        context: dg.AssetCheckExecutionContext, enrichment: EnrichmentResource
    ) -> Iterator[dg.AssetCheckResult]:
        chosen = sorted(key.name for key in context.selected_asset_check_keys)
        config = enrichment.event_type(lane.event_type)
        for verdict in evaluate(enrichment.health(), lane.event_type, config, chosen, SystemClock().now()):
            yield check_result(lane, verdict)

    return _checks


def check_result(lane: Lane, verdict: Verdict) -> dg.AssetCheckResult:
    """Return a verdict as Dagster shows it."""
    return dg.AssetCheckResult(
        asset_key=lane.asset,
        check_name=verdict.check,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.ERROR if verdict.severe else dg.AssetCheckSeverity.WARN,
        description=verdict.message,
        metadata=dict(verdict.numbers),
    )
