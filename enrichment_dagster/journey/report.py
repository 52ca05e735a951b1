"""The journey of one event as data: what ``enrichment explain --json`` and ``GET /events/{id}`` tell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from enrichment_dagster.domain.latency import Journey
from enrichment_dagster.journey.fields import build_fields, build_reused
from enrichment_dagster.journey.forms import iso, mask_subject, record_text, usd
from enrichment_dagster.journey.routed import counted_work, routed_work
from enrichment_dagster.journey.steps import build_late_answers, build_steps
from enrichment_dagster.ports import WorkKind
from enrichment_dagster.store.story import Call, Mention, Owed, Story, Work, Written

_FIRST_KINDS = (WorkKind.EVENT, WorkKind.ROUTING)
_KEPT = {
    "filled": "the record has another value",
    "equal": "the record has this value already",
    "no_such_company": "the CRM has no company with this domain",
}


def build_explanation(story: Story, now: datetime, *, values: bool) -> dict[str, Any]:
    """Return the journey. Without ``values`` no value of a person is in it; the keys stay the same."""
    main = story.work[0] if story.work else None
    deliveries = _deliveries(story, values=values)
    return {
        "event": _received(story, values=values),
        "state": _state(main, deliveries),
        "outcome": main.outcome if main else None,
        "reason": main.reason if main else story.skip_reason,
        "caused_by": (main.caused_by if main else "") or None,
        "cost_usd": usd(sum(item.cost_micros for item in counted_work(story))),
        "latency": _latency(story, main, now),
        "timeline": _timeline(story, main),
        "routing": _routing(story),
        "batches": [_batch(story, batch.batch_id) for batch in story.batches],
        "calls": [_call(call) for call in story.calls],
        "reused": build_reused(story),
        "steps": build_steps(story),
        "late_answers": build_late_answers(story),
        "fields": build_fields(story, now, values=values),
        "missing": _missing(story),
        "quarantined": [
            {
                "field": bad.field,
                "raw": bad.raw if values else None,
                "provider": bad.provider,
                "reason": bad.reason,
                "work_id": bad.work_id,
            }
            for bad in story.quarantined
        ],
        "proven_wrong": [
            {
                "subject": mask_subject(bad.subject),
                "field": bad.field,
                "value": bad.value if values else None,
                "reason": bad.reason,
            }
            for bad in story.wrong
        ],
        "deliveries": deliveries,
        "follow_ups": [_work(item) for item in story.work if item.kind not in _FIRST_KINDS],
        "dead_letters": [
            {"work_id": dead.work_id, "component": dead.component, "reason": dead.reason, "detail": dead.detail}
            for dead in story.dead_letters
        ],
        "values_shown": values,
    }


def build_mention(mention: Mention) -> dict[str, Any]:
    """Return an event as a list shows it."""
    return {
        "event_id": mention.event_id,
        "event_type": mention.event_type,
        "received_at": iso(mention.received_at),
        "state": mention.state or "received",
        "outcome": mention.outcome,
        "reason": mention.reason,
    }


def _received(story: Story, *, values: bool) -> dict[str, Any]:
    event = story.received
    return {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "source": event.source,
        "sender_event_id": event.sender_event_id,
        "lane": event.lane,
        "record": record_text(event.record, values=values),
        "occurred_at": iso(event.occurred_at),
        "received_at": iso(event.received_at),
        "attributes": {name: value if values else None for name, value in event.attributes.items()},
    }


def _routing(story: Story) -> dict[str, Any] | None:
    """Return where the gateway sent the lead, why, and how its work went."""
    routed = routed_work(story)
    return None if routed is None else {**(routed.routing or {}), **_work(routed)}


def _state(main: Work | None, deliveries: list[dict[str, Any]]) -> str:
    """Return where the event is: received (journal only), due, assigned, owed (to its CRM) or done."""
    if main is None:
        return "received"
    owed = any(item["state"] == "owed" and item["work_id"] == main.work_id for item in deliveries)
    return "owed" if main.state == "done" and owed else main.state


def _journey(story: Story, main: Work | None) -> Journey:
    owed = any(item.state == "owed" and main is not None and item.work_id == main.work_id for item in story.owed)
    return Journey(
        occurred_at=story.received.occurred_at,
        received_at=story.received.received_at,
        started_at=main.started_at if main else None,
        finished_at=main.finished_at if main else None,
        delivered_at=main.delivered_at if main else None,
        awaits_delivery=owed,
    )


def _latency(story: Story, main: Work | None, now: datetime) -> dict[str, Any]:
    journey = _journey(story, main)
    hops = {name: round(seconds, 3) for name, seconds in journey.hops(now).items()}
    return {"seconds": round(journey.seconds(now), 3), "open": journey.is_open, "hops": hops}


def _timeline(story: Story, main: Work | None) -> list[dict[str, Any]]:
    """Return the stations that the event has passed, each with the seconds since the one before."""
    stations: list[tuple[str, datetime | None]] = [
        ("occurred", story.received.occurred_at),
        ("received", story.received.received_at),
    ]
    if (routed := routed_work(story)) is not None:
        stations.append(("routed", routed.finished_at))
    if main is not None:
        batch = next((item for item in story.batches if item.batch_id == main.batch_id), None)
        stations += [
            ("assigned to a batch", batch.created_at if batch else None),
            ("handed to Dagster", batch.emitted_at if batch else None),
            ("started", main.started_at),
            ("finished", main.finished_at),
            ("delivered", main.delivered_at),
        ]
    passed = [(name, at) for name, at in stations if at is not None]
    before = [at for _, at in passed[:1] + passed[:-1]]
    return [
        {"step": name, "at": iso(at), "seconds": round((at - last).total_seconds(), 3)}
        for (name, at), last in zip(passed, before, strict=True)
    ]


def _batch(story: Story, batch_id: str) -> dict[str, Any]:
    batch = next(item for item in story.batches if item.batch_id == batch_id)
    held = [item for item in story.work if item.batch_id == batch_id]
    return {
        "batch_id": batch_id,
        "state": batch.state,
        "size": batch.size,
        "attempt": batch.attempt,
        "starts": batch.starts,
        "run_ids": sorted({item.run_id for item in held if item.run_id}),
        "work_ids": [item.work_id for item in held],
        "created_at": iso(batch.created_at),
        "emitted_at": iso(batch.emitted_at),
    }


def _call(call: Call) -> dict[str, Any]:
    return {
        "provider": call.provider,
        "purpose": call.purpose,
        "subject": mask_subject(call.subject_key),
        "state": call.state,
        "reason": call.reason,
        "http_status": call.http_status,
        "latency_ms": call.latency_ms,
        "cost_usd": usd(call.cost_micros),
        "role": call.role,
        "units": call.units,
        "request_id": call.request_id,
        "sent_at": iso(call.sent_at),
        "settled_at": iso(call.settled_at),
    }


def _missing(story: Story) -> dict[str, str]:
    """Return what the newest finished work left empty."""
    finished = [item for item in story.work if item.finished_at is not None]
    return dict(max(finished, key=_finished_at).missing) if finished else {}


def _finished_at(item: Work) -> datetime:
    assert item.finished_at is not None
    return item.finished_at


def _work(item: Work) -> dict[str, Any]:
    return {
        "work_id": item.work_id,
        "kind": item.kind,
        "lookups": list(item.scope.get("lookups", ())),
        "state": item.state,
        "due_at": iso(item.due_at),
        "tries": item.tries,
        "run_id": item.run_id,
        "started_at": iso(item.started_at),
        "finished_at": iso(item.finished_at),
        "delivered_at": iso(item.delivered_at),
        "outcome": item.outcome,
        "reason": item.reason,
        "missing": dict(item.missing),
        "cost_usd": usd(item.cost_micros),
    }


def _deliveries(story: Story, *, values: bool) -> list[dict[str, Any]]:
    written = {item.outbox_id: item for item in story.written}
    promised = {item.outbox_id: item for item in story.owed}
    ids = dict.fromkeys([*promised, *written])
    return [_delivery(promised.get(name), written.get(name), values=values) for name in ids]


def _delivery(owed: Owed | None, done: Written | None, *, values: bool) -> dict[str, Any]:
    entry = owed or done
    assert entry is not None
    open_entry = owed if owed is not None and owed.state == "owed" else None
    return {
        "record": f"{entry.system}:{entry.object_type}:{entry.record_id}",
        "work_id": entry.work_id,
        "state": owed.state if owed else "rejected" if done and done.status == "rejected" else "done",
        "status": done.status if done else None,
        "written": _shown(done.written if done else {}, values=values),
        "kept": {name: _KEPT.get(why, why) for name, why in done.kept.items()} if done else {},
        "owed": _shown({**open_entry.fill, **open_entry.assign} if open_entry else {}, values=values),
        "employer": _shown(owed.employer, values=values) if owed and owed.employer else None,
        "tries": owed.tries if owed else 0,
        "reason": (done.reason if done else "") or (owed.last_reason if owed else ""),
        "next_at": iso(open_entry.next_at) if open_entry else None,
        "written_at": iso(done.written_at) if done else None,
    }


def _shown(properties: Mapping[str, Any], *, values: bool) -> dict[str, Any]:
    return {name: value if values else None for name, value in properties.items()}
