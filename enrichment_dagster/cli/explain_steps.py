"""The decisions of one event as data and in words: which lookup was asked, and why others were not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from enrichment_dagster.cli.words import iso, seconds_text, usd
from enrichment_dagster.store.story import LateAnswer, Story, Work

REFUSAL_WORDS: Mapping[str, str] = {
    "budget_event": "the event's budget is spent",
    "budget_provider": "the provider's budget of the day is spent",
    "budget_day": "the budget of the day is spent",
    "lifetime_cap": "the provider serves no more calls, ever",
    "spending_stopped": "an operator has stopped the spending",
    "breaker_open": "the provider fails, its breaker is open",
    "recent_error": "it failed a moment ago",
    "rate_limited": "the provider's rate limit leaves no room in time",
    "concurrency": "too many calls to the provider are under way",
}
_PLAIN_WORDS = {
    "hit": "hit",
    "miss": "knows nothing",
    "error": "failed",
    "pending": "answers later",
    "refused": "not sent",
    "not_needed": "not needed: all its fields were filled",
    "not_ready": "not ready",
    "not_reached": "not reached",
}
_ASKED = frozenset({"hit", "miss", "error", "pending"})


def build_steps(story: Story) -> list[dict[str, Any]]:
    """Return what became of each lookup, work by work. Work that an older release did has no steps."""
    return [_step(item, step) for item in story.work for step in item.steps]


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


def step_text(step: Mapping[str, Any]) -> str:
    """Return what became of a lookup, in words."""
    result, reason = step["result"], step["reason"]
    words = _PLAIN_WORDS.get(result, result)
    if reason and result != "not_needed":
        shown = REFUSAL_WORDS.get(reason, reason.replace("_", " "))
        words = f"{words}: {shown}"
    notes = [note for note in (_memory(step), "sent as a hedge" if step["hedge"] else "") if note]
    return f"{words} ({', '.join(notes)})" if notes else words


def _memory(step: Mapping[str, Any]) -> str:
    """Say how old an answer was that was not asked for anew."""
    if not step["cached"] and not step["stale"]:
        return ""
    kind = "stale, from the cache" if step["stale"] else "from the cache"
    return kind if step["age_seconds"] is None else f"{kind}, fetched {seconds_text(step['age_seconds'])} before"


def was_asked(step: Mapping[str, Any]) -> bool:
    """Say whether the lookup gave an answer or was to give one, from its provider or from the cache."""
    return step["result"] in _ASKED
