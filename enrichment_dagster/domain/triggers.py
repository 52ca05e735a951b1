"""What triggers an enrichment: the event types, what senders say of an event, and the rules that decide at the door.

Decided here is what an event alone tells: a stage that nobody configured, a soft bounce, an anonymous visit. Such an
event is recorded with its reason and costs nothing. What the record's own state decides (freshness, cooldown, order)
is found out later, where that state is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

LEAD_CREATED = "lead_created"
CONTACT_ASSOCIATED = "contact_associated"
OPPORTUNITY_STAGE_CHANGED = "opportunity_stage_changed"
WEBSITE_VISIT = "website_visit"
INTENT_SIGNAL = "intent_signal"
DATA_QUALITY = "data_quality"

UNSUPPORTED = "unsupported"
"""The event type of what is recorded, but never enriched."""
UNSUPPORTED_REASON = "unsupported_event_type"

PROBLEMS = frozenset({"hard_bounce", "soft_bounce", "blocked", "disconnected", "unreachable", "job_change"})
"""What a data quality event may report of a value (``problem``). Wrong for good are a hard bounce and a disconnected
number; the others may be over tomorrow."""


@dataclass(frozen=True, slots=True)
class TriggerRules:
    """Which events of a type are worth an enrichment. An empty tuple sets no condition."""

    stages: tuple[str, ...] = ()  # of an opportunity, compared without case
    pages: tuple[str, ...] = ()  # patterns of paths: "/pricing*"
    min_score: float = 0.0  # of an intent signal, 0 to 100
    topics: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Triggers:
    """The rules of every event type that is configured."""

    rules: Mapping[str, TriggerRules]

    def judge(self, event_type: str | None, attributes: Mapping[str, Any]) -> tuple[str, str]:
        """Return the event type to record, and the reason not to enrich it (empty: it triggers)."""
        rules = None if event_type is None else self.rules.get(event_type)
        if event_type is None or rules is None:
            return UNSUPPORTED, UNSUPPORTED_REASON
        judge = _JUDGES.get(event_type)
        return event_type, judge(attributes, rules) if judge else ""


def _stage(attributes: Mapping[str, Any], rules: TriggerRules) -> str:
    stages = {stage.casefold() for stage in rules.stages}
    return "" if not stages or _text(attributes, "stage").casefold() in stages else "stage_not_configured"


def _visit(attributes: Mapping[str, Any], rules: TriggerRules) -> str:
    if rules.pages and not any(fnmatchcase(_text(attributes, "page"), page) for page in rules.pages):
        return "page_not_configured"
    return "" if _text(attributes, "email") or attributes.get("known_record") else "anonymous_visitor"


def _intent(attributes: Mapping[str, Any], rules: TriggerRules) -> str:
    if rules.topics and _text(attributes, "topic").casefold() not in {topic.casefold() for topic in rules.topics}:
        return "topic_not_configured"
    score = attributes.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float):
        return "below_threshold"
    return "" if score >= rules.min_score else "below_threshold"


def _quality(attributes: Mapping[str, Any], rules: TriggerRules) -> str:
    problem = _text(attributes, "problem")
    if problem not in PROBLEMS:
        return "not_a_problem"
    return "" if not rules.problems or problem in rules.problems else problem


_JUDGES: Mapping[str, Callable[[Mapping[str, Any], TriggerRules], str]] = {
    OPPORTUNITY_STAGE_CHANGED: _stage,
    WEBSITE_VISIT: _visit,
    INTENT_SIGNAL: _intent,
    DATA_QUALITY: _quality,
}


def _text(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes.get(name)
    return value if isinstance(value, str) else ""
