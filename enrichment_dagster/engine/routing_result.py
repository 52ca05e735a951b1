"""What the routing lane answers, what of it is stored, and what is left to the standard lane. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from enrichment_dagster.domain.fields import FieldValue, Value
from enrichment_dagster.domain.outcome import RETRYABLE_REASONS, MissingReason, Outcome, decide_outcome
from enrichment_dagster.domain.ranges import out_of_range
from enrichment_dagster.domain.routing import RoutingDecision
from enrichment_dagster.engine.conclude import Validator, conclude
from enrichment_dagster.engine.draft import Draft
from enrichment_dagster.engine.plan import Plan
from enrichment_dagster.ports import Enrichment, OutboxEntry, RecordMapper, RoutingConclusion

Decide = Callable[[Mapping[str, Value]], RoutingDecision]

_ASKED = frozenset({"hit", "miss", "error", "pending"})
_MOST_LATENCIES = 5_000  # where nobody takes the counts, they must not grow for ever
_RAW_LENGTH = 200


@dataclass(frozen=True, slots=True)
class RoutingResult:
    """What is answered. ``status``: "cached", "enriched", "partial", "skipped" or "failed"."""

    event_id: str
    status: str
    reason: str
    values: Mapping[str, FieldValue]
    missing: Mapping[str, MissingReason]
    decision: RoutingDecision
    cost_micros: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Finished:
    """One answered event that is not stored yet."""

    draft: Draft
    plan: Plan
    result: RoutingResult


@dataclass(slots=True)
class RoutingCounts:
    """What the lane did since the counts were last taken: for the aggregated report."""

    outcomes: Counter[str] = field(default_factory=Counter)  # by status
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_MOST_LATENCIES))
    cost_micros: int = 0
    overloaded: int = 0

    def add(self, result: RoutingResult) -> None:
        """Count one answer."""
        self.outcomes[result.status] += 1
        self.latencies_ms.append(result.latency_ms)
        self.cost_micros += result.cost_micros

    @property
    def is_empty(self) -> bool:
        """Say whether nothing happened."""
        return not self.outcomes and not self.overloaded


def finish(draft: Draft, plan: Plan, decide: Decide, latency_ms: float) -> Finished:
    """Return what is answered of a draft.

    What the ledger's rules would refuse later is set aside now: what was answered must be what is stored.
    """
    knowledge = draft.knowledge
    for value in [v for v in knowledge.candidates.values() if out_of_range(v.field, v.value)]:
        knowledge.reject(value, "out_of_range", repr(value.value)[:_RAW_LENGTH])
    missing = {} if draft.skip_reason else knowledge.missing_reasons(plan.offered)
    result = RoutingResult(
        event_id=draft.item.event.event_id,
        status=_status(draft, missing),
        reason=draft.skip_reason or draft.fault,
        values=knowledge.values,
        missing=missing,
        decision=decide({name: value.value for name, value in knowledge.values.items()}),
        cost_micros=draft.cost_micros,
        latency_ms=latency_ms,
    )
    return Finished(draft, plan, result)


def _status(draft: Draft, missing: Mapping[str, MissingReason]) -> str:
    if draft.skip_reason:
        return "skipped"
    if draft.fault:
        return "failed"
    if missing:
        outcome = decide_outcome(missing=missing, bought=len(draft.bought))
        return "failed" if outcome is Outcome.FAILED else "partial"
    asked = [step for step in draft.steps.values() if step.result in _ASKED]
    return "cached" if all(step.cached for step in asked) else "enriched"  # nobody asked: the record had it all


def conclusions(
    batch: Sequence[Finished], mapper: RecordMapper, validate: Validator, now: datetime
) -> list[RoutingConclusion]:
    """Return what is stored of answered events, validated together."""
    found: list[RoutingConclusion] = []
    for plan in {id(one.plan): one.plan for one in batch}.values():
        same = [one for one in batch if one.plan is plan]
        enrichments = conclude([one.draft for one in same], plan, mapper, validate, now)
        found += [_conclusion(one, item, mapper) for one, item in zip(same, enrichments, strict=True)]
    return found


def _conclusion(one: Finished, enrichment: Enrichment, mapper: RecordMapper) -> RoutingConclusion:
    goes_on = _goes_on(one, mapper)
    stored = replace(
        enrichment,
        outbox=_told(one, enrichment, mapper),
        follow_up=None,
        # Where the standard lane goes on, it asks for what is pending, and waits for it itself.
        awaits=() if goes_on else enrichment.awaits,
        routing=one.result.decision,
    )
    return RoutingConclusion(stored, goes_on, one.result.status == "cached")


def _goes_on(one: Finished, mapper: RecordMapper) -> bool:
    """Say whether the standard lane has anything to add: a record that waits for all fields, or a later try."""
    if mapper.knows(one.draft.item.event.subject):
        return True
    curable = any(reason in RETRYABLE_REASONS for reason in one.result.missing.values())
    return bool(one.draft.fault) or curable


def _told(one: Finished, enrichment: Enrichment, mapper: RecordMapper) -> OutboxEntry | None:
    """Return what the record is told at once: the fields that routing wants, and where the lead goes.

    The status is the standard lane's to tell, when it has the rest.
    """
    owed = enrichment.outbox
    if owed is None or one.draft.skip_reason or one.draft.fault:
        return None
    values = enrichment.values
    bought = {v.field: v.value for v in values if v.precedence and v.field in one.plan.wanted}
    told = replace(owed, fill=mapper.fill(owed.ref, bought), assign=mapper.routing(owed.ref, one.result.decision))
    return told if told.fill or told.assign else None
