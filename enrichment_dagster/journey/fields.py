"""The fields of one event as data: chosen values with their alternatives, and answers that another event paid for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from enrichment_dagster.journey.forms import iso, mask_subject, usd
from enrichment_dagster.store.story import Call, StoredValue, Story


def build_reused(story: Story) -> list[dict[str, Any]]:
    """Return the answers that nothing was paid for by this event, each with the event that paid if it is known."""
    groups: dict[tuple[str, str, str | None], list[StoredValue]] = {}
    for value in story.values:
        if _origin(value, story) == "cached":
            groups.setdefault((value.provider, value.request_id, iso(value.fetched_at)), []).append(value)
    return [_reused_answer(story, found) for found in groups.values()]


def _reused_answer(story: Story, found: list[StoredValue]) -> dict[str, Any]:
    payer = _payer(found[0], story)
    return {
        "provider": found[0].provider,
        "purpose": payer.purpose if payer else None,
        "subject": mask_subject(payer.subject_key if payer else found[0].subject_key),
        "fields": [value.field for value in found],
        "fetched_at": iso(found[0].fetched_at),
        "paid_by_event": payer.event_id if payer else None,
        "paid_usd": usd(payer.cost_micros) if payer else None,
        "request_id": found[0].request_id,
    }


def _payer(value: StoredValue, story: Story) -> Call | None:
    same = [call for call in story.payers if call.provider == value.provider]
    if value.request_id:
        return next((call for call in same if call.request_id == value.request_id), None)
    return next((call for call in same if call.settled_at == value.fetched_at), None)


def _origin(value: StoredValue, story: Story) -> str:
    """Say where a value is from: the record itself (with what its sender said), a call of this event, or the cache."""
    if value.provider in {story.received.subject_system, story.received.source}:
        return "record"
    return "cached" if _own_call(value, story) is None else "bought"


def _own_call(value: StoredValue, story: Story) -> Call | None:
    """Return the call of this event that brought a value; where the vendor gave no id, its moment tells calls apart."""
    named = (value.provider, value.request_id)
    own = [call for call in story.calls if call.state == "hit" and (call.provider, call.request_id) == named]
    return next((call for call in own if call.settled_at == value.fetched_at), own[0] if own else None)


def build_fields(story: Story, now: datetime, *, values: bool) -> list[dict[str, Any]]:
    """Return each chosen value with what others said of the same field for the same work.

    An alternative without a chosen value beside it is listed by itself.
    """
    chosen = {(value.work_id, value.field) for value in story.values if value.chosen}
    others: dict[tuple[str, str], list[StoredValue]] = {}
    for value in story.values:
        if not value.chosen:
            others.setdefault((value.work_id, value.field), []).append(value)
    return [
        {
            **_field(value, story, now, values=values),
            "alternatives": [
                _alternative(other, values=values)
                for other in (others.get((value.work_id, value.field), []) if value.chosen else [])
            ],
        }
        for value in story.values
        if value.chosen or (value.work_id, value.field) not in chosen
    ]


def _alternative(value: StoredValue, *, values: bool) -> dict[str, Any]:
    return {
        "value": value.value if values else None,
        "provider": value.provider,
        "confidence": value.confidence,
        "fetched_at": iso(value.fetched_at),
        "stale": value.stale,
        "precedence": value.precedence,
    }


def _field(value: StoredValue, story: Story, now: datetime, *, values: bool) -> dict[str, Any]:
    """Return a value. ``cost_usd`` is on one value of each call, ``call_usd`` what the call cost for all of them."""
    call = _own_call(value, story)
    return {
        "field": value.field,
        "value": value.value if values else None,
        "provider": value.provider,
        "origin": _origin(value, story),
        "subject": mask_subject(value.subject_key),
        "confidence": value.confidence,
        "fetched_at": iso(value.fetched_at),
        "age_seconds": round(max(0.0, (now - value.fetched_at).total_seconds()), 1),
        "expires_at": iso(value.expires_at),
        "cost_usd": usd(value.cost_micros),
        "call_usd": usd(call.cost_micros) if call else None,
        "work_id": value.work_id,
        "chosen": value.chosen,
        "stale": value.stale,
        "precedence": value.precedence,
    }
