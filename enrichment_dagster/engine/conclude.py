"""From drafts to results: validate a micro-batch of values, decide outcomes, write the outbox entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.fields import FieldValue, RejectedValue
from enrichment_dagster.domain.keys import idempotency_key
from enrichment_dagster.domain.outcome import RETRYABLE_REASONS, MissingReason, Outcome, decide_outcome
from enrichment_dagster.engine.waterfall import Draft, Plan
from enrichment_dagster.ports import Enrichment, FollowUp, OutboxEntry, RecordMapper

Candidate = tuple[str, FieldValue]
"""A value and the work that it is for."""

Validator = Callable[[Sequence[Candidate]], tuple[list[Candidate], list[tuple[Candidate, str]]]]
"""Tells good values from bad ones, which come with their reasons. Called with whole micro-batches: a call is dear."""

_RAW_LENGTH = 200


def conclude(
    drafts: Sequence[Draft], plan: Plan, mapper: RecordMapper, validate: Validator, now: datetime
) -> list[Enrichment]:
    """Validate the drafts' values together and return what is to be stored for each."""
    candidates = [(draft.item.work_id, value) for draft in drafts for value in draft.knowledge.values.values()]
    _, bad = validate(candidates) if candidates else ([], [])
    by_work = {draft.item.work_id: draft for draft in drafts}
    for (work_id, value), reason in bad:
        _reject(by_work[work_id], value, reason)
    return [_enrichment(draft, plan, mapper, now) for draft in drafts]


def _reject(draft: Draft, value: FieldValue, reason: str) -> None:
    del draft.knowledge.values[value.field]
    draft.bought.discard(value.field)
    draft.knowledge.rejected.append(RejectedValue(value.field, repr(value.value)[:_RAW_LENGTH], value.provider, reason))


def _enrichment(draft: Draft, plan: Plan, mapper: RecordMapper, now: datetime) -> Enrichment:
    outcome, reason, missing = _outcome(draft, plan)
    return Enrichment(
        item=draft.item,
        outcome=outcome,
        reason=reason,
        started_at=draft.started_at,
        values=tuple(draft.knowledge.values.values()),
        rejected=tuple(draft.knowledge.rejected),
        missing=missing,
        subject_keys=draft.subject_keys,
        cost_micros=draft.cost_micros,
        follow_up=_follow_up(draft, plan, missing, now),
        outbox=_outbox(draft, outcome, reason, missing, mapper, now),
    )


def _outcome(draft: Draft, plan: Plan) -> tuple[Outcome, str, dict[str, MissingReason]]:
    if draft.skip_reason:
        return Outcome.SKIPPED, draft.skip_reason, {}
    missing = draft.knowledge.missing_reasons(plan.offered)
    if draft.fault:
        return Outcome.FAILED, draft.fault, missing
    outcome = decide_outcome(missing=missing, bought=len(draft.bought))
    return outcome, "providers_failed" if outcome is Outcome.FAILED else "", missing


def _follow_up(draft: Draft, plan: Plan, missing: dict[str, MissingReason], now: datetime) -> FollowUp | None:
    """Plan a later try where a transient failure is the reason, as often as the plan allows."""
    curable = bool(draft.fault) or any(reason in RETRYABLE_REASONS for reason in missing.values())
    tries = draft.item.tries
    if not curable or draft.skip_reason or tries >= len(plan.follow_up_seconds):
        return None
    return FollowUp(now + timedelta(seconds=plan.follow_up_seconds[tries]), tries + 1)


def _outbox(
    draft: Draft,
    outcome: Outcome,
    reason: str,
    missing: dict[str, MissingReason],
    mapper: RecordMapper,
    now: datetime,
) -> OutboxEntry | None:
    ref: RecordRef = draft.item.event.subject
    if not mapper.knows(ref) or reason == "record_not_found":
        return None
    bought = {name: draft.knowledge.values[name].value for name in draft.bought}
    return OutboxEntry(
        outbox_id=idempotency_key("crm_write", draft.item.work_id, ref.key),
        work_id=draft.item.work_id,
        event_id=draft.item.event.event_id,
        ref=ref,
        fill=mapper.fill(ref, bought),
        assign=mapper.status(ref, outcome, sorted(missing), now),
    )
