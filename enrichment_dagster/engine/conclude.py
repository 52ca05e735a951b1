"""From drafts to results: validate a micro-batch of values, decide outcomes, say what records are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from enrichment_dagster.domain.eligibility import proven_wrong
from enrichment_dagster.domain.fields import FieldValue
from enrichment_dagster.domain.outcome import RETRYABLE_REASONS, MissingReason, Outcome, decide_outcome
from enrichment_dagster.engine.draft import Draft
from enrichment_dagster.engine.edges import found_edges
from enrichment_dagster.engine.owed import Promised, owed_entries
from enrichment_dagster.engine.plan import Plan
from enrichment_dagster.ports import SPENDING_STOPPED, Enrichment, FollowUp, RecordMapper, Step

Candidate = tuple[str, FieldValue]
"""A value and the work that it is for."""

Validator = Callable[[Sequence[Candidate]], tuple[list[Candidate], list[tuple[Candidate, str]]]]
"""Tells good values from bad ones, which come with their reasons. Called with whole micro-batches: a call is dear."""

NO_RECORD = "no_record"
"""The reason of an enrichment whose subject no CRM has a record of."""

_RAW_LENGTH = 200


def conclude(
    drafts: Sequence[Draft],
    plan: Plan,
    mapper: RecordMapper,
    validate: Validator,
    now: datetime,
    promised: Promised | None = None,
) -> list[Enrichment]:
    """Validate the drafts' values together and return what is to be stored for each.

    ``promised`` is what earlier drafts of the same batch owe to companies; what these add is noted there.
    """
    candidates = [(draft.item.work_id, value) for draft in drafts for value in draft.knowledge.candidates.values()]
    _, bad = validate(candidates) if candidates else ([], [])
    by_work = {draft.item.work_id: draft for draft in drafts}
    for (work_id, value), reason in bad:
        by_work[work_id].knowledge.reject(value, reason, repr(value.value)[:_RAW_LENGTH])
    promised = {} if promised is None else promised
    return [_enrichment(draft, plan, mapper, now, promised) for draft in drafts]


def _enrichment(draft: Draft, plan: Plan, mapper: RecordMapper, now: datetime, promised: Promised) -> Enrichment:
    outcome, reason, missing = _outcome(draft, plan)
    owed = owed_entries(draft, outcome, reason, sorted(missing), mapper, now, promised)
    # Someone whom no CRM has is enriched all the same, only nobody can be told.
    unknown = draft.subject.sought and not draft.subject.own
    return Enrichment(
        item=draft.item,
        outcome=outcome,
        reason=reason or (NO_RECORD if unknown else ""),
        started_at=draft.started_at,
        values=tuple(draft.knowledge.values.values()),
        alternatives=tuple(draft.knowledge.alternatives),
        steps=_steps(draft, plan),
        awaits=tuple(draft.awaits),
        rejected=tuple(draft.knowledge.rejected),
        wrong=_wrong(draft),
        missing=missing,
        subject_keys=draft.subject_keys,
        cost_micros=draft.cost_micros,
        follow_up=_follow_up(draft, plan, missing, now),
        outbox=owed[0] if owed else None,
        more_outbox=tuple(owed[1:]),
        edges=found_edges(draft, mapper),
    )


def _wrong(draft: Draft) -> tuple[tuple[str, str], ...]:
    """Return what the event proves wrong: it is wrong even where nobody is enriched."""
    found = proven_wrong(draft.item.event.event_type, draft.item.event.attributes)
    return () if found is None else (found,)


def _steps(draft: Draft, plan: Plan) -> tuple[Step, ...]:
    """Return the steps, each with the wanted fields that hold its value in the end."""
    owners: dict[str, list[str]] = {}
    wanted = set(plan.wanted)
    for name, value in draft.knowledge.values.items():
        if value.precedence and name in wanted:
            owner = next((s for s in draft.steps if _gave(plan, s, value)), "")
            owners.setdefault(owner, []).append(name)
    return tuple(
        replace(step, fields=tuple(owners[name])) if name in owners else step for name, step in draft.steps.items()
    )


def _gave(plan: Plan, lookup: str, value: FieldValue) -> bool:
    same_provider = plan.lookups[lookup].provider == value.provider
    return same_provider and plan.precedence(value.field, lookup) == value.precedence


def _outcome(draft: Draft, plan: Plan) -> tuple[Outcome, str, dict[str, MissingReason]]:
    if draft.skip_reason:
        return Outcome.SKIPPED, draft.skip_reason, {}
    missing = {**draft.knowledge.missing_reasons(plan.offered)}
    missing.update(_reasons_from_before(draft, plan, missing))
    if draft.fault:
        return Outcome.FAILED, draft.fault, missing
    outcome = decide_outcome(missing=missing, bought=len(draft.bought))
    return outcome, "providers_failed" if outcome is Outcome.FAILED else "", missing


def _reasons_from_before(draft: Draft, plan: Plan, missing: Iterable[str]) -> dict[str, MissingReason]:
    """Return why fields are missing that this work, being limited to some lookups, could not ask for."""
    scope = draft.item.scope
    asked = {name for lookup in scope.lookups if lookup in plan.lookups for name in plan.lookups[lookup].gives}
    return {name: MissingReason(scope.reasons[name]) for name in missing if name in scope.reasons and name not in asked}


def _follow_up(draft: Draft, plan: Plan, missing: dict[str, MissingReason], now: datetime) -> FollowUp | None:
    """Plan a later try where a transient failure or a stop is the reason, as often as the plan allows."""
    tries = draft.item.tries
    if draft.skip_reason or draft.item.scope.lookups or tries >= len(plan.follow_up_seconds):
        return None
    if not _is_curable(draft, plan, missing):
        return None
    return FollowUp(now + timedelta(seconds=plan.follow_up_seconds[tries]), tries + 1)


def _is_curable(draft: Draft, plan: Plan, missing: dict[str, MissingReason]) -> bool:
    """Say whether a later try may fill a field: other reasons of policy last, a stop is taken back one day."""
    if draft.fault or any(reason in RETRYABLE_REASONS for reason in missing.values()):
        return True
    stopped = [step.lookup for step in draft.steps.values() if step.reason == SPENDING_STOPPED]
    return any(name in missing for lookup in stopped for name in plan.lookups[lookup].gives)
