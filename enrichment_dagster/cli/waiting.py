"""Waiting for events to come to their end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from enrichment_dagster.journey.report import build_explanation

if TYPE_CHECKING:
    from enrichment_dagster.store.explain import ExplainStore

_POLL_SECONDS = 0.2
_DONE = "done"


def wait_for(store: ExplainStore, event_ids: Sequence[str], seconds: float) -> list[dict[str, Any]]:
    """Return each event's journey in short, once all are delivered or ended, or the time is over."""
    give_up = time.monotonic() + seconds
    while True:
        found = [_summary(store, event_id) for event_id in event_ids]
        if all(item["ended"] for item in found) or time.monotonic() >= give_up:
            return found
        time.sleep(_POLL_SECONDS)


def _summary(store: ExplainStore, event_id: str) -> dict[str, Any]:
    story = store.story(event_id)
    if story is None:
        unknown = dict.fromkeys(("outcome", "seconds", "cost_usd"))
        return {"event_id": event_id, "state": "unknown", "ended": False, **unknown, **_empty()}
    report = build_explanation(story, datetime.now(UTC), values=False)
    return {
        "event_id": event_id,
        "state": report["state"],
        "ended": report["state"] == _DONE,
        "outcome": report["outcome"],
        "seconds": report["latency"]["seconds"],
        "cost_usd": report["cost_usd"],
        "reason": report["reason"],
        "hops": report["latency"]["hops"],
        "fields": sum(item["origin"] != "record" for item in report["fields"]),
        "missing": sorted(report["missing"]),
        "crm": [item["status"] or item["reason"] or item["state"] for item in report["deliveries"]],
    }


def _empty() -> dict[str, Any]:
    return {"reason": "", "hops": {}, "fields": 0, "missing": [], "crm": []}
