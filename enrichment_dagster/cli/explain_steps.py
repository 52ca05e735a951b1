"""The decisions of one event in words: which lookup was asked, and why others were not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enrichment_dagster.cli.words import seconds_text

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
