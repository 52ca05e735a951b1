"""Asset checks. The gateway reports the same verdicts every few seconds; here they run from the UI."""

from collections.abc import Iterator, Mapping

import dagster as dg

from assets.lanes import Lane
from enrichment_dagster.clock import SystemClock
from enrichment_dagster.monitoring.checks import Verdict
from enrichment_dagster.resources import EnrichmentResource
from enrichment_dagster.verdicts import (
    CHECKS,
    ROUTING_CHECKS,
    WRITEBACK,
    WRITEBACK_CHECKS,
    evaluate,
    evaluate_writeback,
)


def lane_checks(lane: Lane) -> dg.AssetChecksDefinition:
    """Return the checks of a lane."""
    return _checks_of(lane, lane.asset, CHECKS)


def routing_checks(lane: Lane) -> dg.AssetChecksDefinition:
    """Return the checks of what the gateway answers."""
    return _checks_of(lane, lane.routing, ROUTING_CHECKS)


def writeback_checks() -> dg.AssetChecksDefinition:
    """Return the checks of what is written to CRMs."""
    specs = [dg.AssetCheckSpec(name, asset=WRITEBACK, description=text) for name, text in WRITEBACK_CHECKS.items()]

    @dg.multi_asset_check(name=f"{WRITEBACK}_checks", specs=specs)
    def _checks(enrichment: EnrichmentResource) -> Iterator[dg.AssetCheckResult]:
        for verdict in evaluate_writeback(enrichment.loops()):
            yield check_result(WRITEBACK, verdict)

    return _checks


def _checks_of(lane: Lane, asset: str, checks: Mapping[str, str]) -> dg.AssetChecksDefinition:
    specs = [dg.AssetCheckSpec(name, asset=asset, description=text) for name, text in checks.items()]

    @dg.multi_asset_check(name=f"{asset}_checks", specs=specs, can_subset=True)
    def _checks(
        context: dg.AssetCheckExecutionContext, enrichment: EnrichmentResource
    ) -> Iterator[dg.AssetCheckResult]:
        chosen = sorted(key.name for key in context.selected_asset_check_keys)
        config = enrichment.config().event_types.get(lane.event_type)
        if config is None:
            verdicts = [Verdict(name, True, f"enrichment.yaml does not name {lane.event_type}", {}) for name in chosen]
        else:
            verdicts = evaluate(enrichment.health(), lane.event_type, config, chosen, SystemClock().now())
        for verdict in verdicts:
            yield check_result(asset, verdict)

    return _checks


def check_result(asset: str, verdict: Verdict) -> dg.AssetCheckResult:
    """Return a verdict as Dagster shows it."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=verdict.check,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.ERROR if verdict.severe else dg.AssetCheckSeverity.WARN,
        description=verdict.message,
        metadata=dict(verdict.numbers),
    )
