"""The decisions of one event as data: which lookup was asked, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from enrichment_dagster.journey.forms import iso, usd
from enrichment_dagster.journey.routed import counted_work
from enrichment_dagster.store.story import LateAnswer, Story, Work


def build_steps(story: Story) -> list[dict[str, Any]]:
    """Return what became of each lookup, work by work. Work that an older release did has no steps."""
    return [_step(item, step) for item in counted_work(story) for step in item.steps]


def _step(item: Work, step: Mapping[str, Any]) -> dict[str, Any]:
    fetched_at = _moment(step.get("fetched_at"))
    used_at = item.finished_at or item.started_at
    age = (used_at - fetched_at).total_seconds() if used_at and fetched_at else None
    return {
        "work_id": item.work_id,
        "lookup": step["lookup"],
        "result": step["result"],
        "reason": step.get("reason", ""),
        "cached": bool(step.get("cached")),
        "stale": bool(step.get("stale")),
        "hedge": bool(step.get("hedge")),
        "fields": list(step.get("fields", ())),
        "latency_ms": step.get("latency_ms", 0),
        "cost_usd": usd(step.get("cost_micros", 0)),
        "fetched_at": iso(fetched_at),
        "age_seconds": None if age is None else round(max(0.0, age), 1),
    }


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def build_late_answers(story: Story) -> list[dict[str, Any]]:
    """Return the answers that providers give later."""
    return [_late_answer(item) for item in story.late_answers]


def _late_answer(item: LateAnswer) -> dict[str, Any]:
    return {
        "lookup": item.lookup,
        "state": item.state,
        "request_id": item.request_id,
        "asked_at": iso(item.created_at),
        "polls": item.polls,
        "next_poll_at": iso(item.next_poll_at),
        "expires_at": iso(item.expires_at),
    }
