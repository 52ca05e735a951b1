"""The result of one event in short: what a caller gets posted that did not wait for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from enrichment_dagster.journey.report import build_explanation
from enrichment_dagster.store.story import Story


def build_ended(story: Story, now: datetime) -> dict[str, Any]:
    """Return the event's state, outcome and values, each field by the work that had it last."""
    report = build_explanation(story, now, values=True)
    latest = {item["field"]: item for item in report["fields"] if item["chosen"]}
    routing = report["routing"]
    return {
        "event_id": story.received.event_id,
        "event_type": story.received.event_type,
        "record": story.received.record.key,
        "status": report["state"],
        "outcome": report["outcome"],
        "reason": report["reason"],
        "data": {name: item["value"] for name, item in latest.items()},
        "provenance": {
            name: {key: item[key] for key in ("provider", "fetched_at", "confidence", "stale")}
            for name, item in latest.items()
        },
        "missing_fields": report["missing"],
        "routing": routing and {key: routing.get(key) for key in ("segment", "score", "route", "reasons")},
        "cost_usd": report["cost_usd"],
    }
