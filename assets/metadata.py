"""Reports as asset metadata: numbers that Dagster plots, never personal data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from enrichment_dagster.domain.latency import percentile
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.engine.batch import BatchReport
from enrichment_dagster.engine.delivery import DeliveryReport

if TYPE_CHECKING:
    from enrichment_dagster.engine.routing_result import RoutingCounts
    from enrichment_dagster.store.projector import ProjectionReport  # it brings duckdb along

Metadata = Mapping[str, Any]


def batch_metadata(report: BatchReport) -> Metadata:
    """Return what a batch came to."""
    outcomes = {str(outcome): report.outcomes.get(str(outcome), 0) for outcome in Outcome}
    return {
        "events": sum(outcomes.values()),
        **outcomes,
        "deferred": report.deferred,
        "fields_bought": report.fields_bought,
        "values_quarantined": report.values_rejected,
        "cost_usd": report.cost_micros / 1_000_000,
        **_percentiles("queue_wait", report.wait_ms),
        **_percentiles("processing", report.work_ms),
        **({"reasons": dict(report.reasons)} if report.reasons else {}),
    }


def routing_metadata(counts: RoutingCounts) -> Metadata:
    """Return what the gateway routed since its last report."""
    statuses = ("enriched", "cached", "partial", "skipped", "failed")
    latencies = list(counts.latencies_ms)
    return {
        "leads": sum(counts.outcomes.values()),
        **{status: counts.outcomes.get(status, 0) for status in statuses},
        "overloaded": counts.overloaded,
        "cost_usd": counts.cost_micros / 1_000_000,
        **{f"p{p}_ms": round(percentile(latencies, p / 100)) for p in (50, 95, 99) if latencies},
    }


def delivery_metadata(report: DeliveryReport) -> Metadata:
    """Return what the deliveries of a run came to."""
    return {
        "written": report.statuses.get("written", 0),
        "already_there": report.statuses.get("already_there", 0),
        "rejected": report.statuses.get("rejected", 0),
        "put_off": sum(report.put_off.values()),
        "properties_written": report.properties_written,
        **({"put_off_reasons": dict(report.put_off)} if report.put_off else {}),
    }


def projection_metadata(report: ProjectionReport, table: str) -> Metadata:
    """Return what a projection did to one table; without numbers when another projector was at work."""
    if report.skipped_because_locked:
        return {"left_to_another_projector": True}
    return {
        "rows_changed": report.rows.get(table, 0),
        "rows_behind": report.lag_rows or 0,
        "rows_quarantined": report.rejected,
        "seconds": round(report.seconds, 3),
    }


def _percentiles(name: str, values_ms: list[float]) -> Metadata:
    if not values_ms:
        return {}
    return {
        f"{name}_p50_seconds": round(percentile(values_ms, 0.50) / 1_000, 3),
        f"{name}_p95_seconds": round(percentile(values_ms, 0.95) / 1_000, 3),
    }
