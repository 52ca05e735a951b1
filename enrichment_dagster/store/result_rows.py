"""Between an enrichment's values and steps and their rows in the operational store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, select

from enrichment_dagster.domain.fields import FieldValue
from enrichment_dagster.domain.keys import COMPANY_PREFIX, text_hash
from enrichment_dagster.ports import Enrichment, OutboxEntry, Step
from enrichment_dagster.store.database import from_ms, to_ms
from enrichment_dagster.store.rows import Row
from enrichment_dagster.store.tables import MAX_REQUEST_ID, field_values, invalid_values, outbox, quarantine


def value_rows(item: Enrichment, rev: int) -> list[dict[str, Any]]:
    """Return the ledger rows of an enrichment: the values that count and what else was said."""
    counted = [_value_row(item, value, rev, chosen=True) for value in item.values]
    return counted + [_value_row(item, value, rev, chosen=False) for value in item.alternatives]


def _value_row(item: Enrichment, value: FieldValue, rev: int, *, chosen: bool) -> dict[str, Any]:
    return {
        "work_id": item.item.work_id,
        "event_id": item.item.event.event_id,
        "subject_key": value.subject_key,
        "field": value.field,
        "value": value.value,
        "provider": value.provider,
        "confidence": value.confidence,
        "fetched_at_ms": to_ms(value.fetched_at),
        "verified_at_ms": None if value.verified_at is None else to_ms(value.verified_at),
        "expires_at_ms": None if value.expires_at is None else to_ms(value.expires_at),
        "cost_micros": value.cost_micros,
        "request_id": value.request_id[:MAX_REQUEST_ID],
        "precedence": value.precedence,
        "chosen": chosen,
        "stale": value.stale,
        "rev": rev,
    }


def earlier_values(connection: Connection, event_ids: Sequence[str]) -> dict[str, list[FieldValue]]:
    """Return what providers have told of these events before, by event. Their price stands on the earlier row."""
    if not event_ids:
        return {}
    statement = (
        select(field_values)
        .where(field_values.c.event_id.in_(sorted(set(event_ids))), field_values.c.precedence > 0)
        .order_by(field_values.c.value_id)
    )
    found: dict[str, list[FieldValue]] = {}
    for row in connection.execute(statement).mappings():
        found.setdefault(row["event_id"], []).append(stored_value(row))
    return found


def stored_value(row: Row) -> FieldValue:
    """Return the value of a ledger row, without its price: that stands on the row."""
    value = row["value"]
    return FieldValue(
        field=row["field"],
        value=tuple(value) if isinstance(value, list) else value,
        provider=row["provider"],
        subject_key=row["subject_key"],
        fetched_at=from_ms(row["fetched_at_ms"]),
        confidence=row["confidence"],
        verified_at=None if row["verified_at_ms"] is None else from_ms(row["verified_at_ms"]),
        expires_at=None if row["expires_at_ms"] is None else from_ms(row["expires_at_ms"]),
        request_id=row["request_id"],
        precedence=row["precedence"],
        stale=row["stale"],
    )


_STEP_FIELDS = tuple(field.name for field in fields(Step))  # ``asdict`` would copy each value, at ten times the cost
_NOTHING = (None, "", 0, False, ())


def step_as_json(step: Step) -> dict[str, Any]:
    """Return a step as it is stored: what says nothing is left out."""
    found = {name: value for name in _STEP_FIELDS if (value := getattr(step, name)) not in _NOTHING}
    if step.fetched_at is not None:
        found["fetched_at"] = step.fetched_at.isoformat()
    return found


def quarantine_rows(item: Enrichment, rev: int, now_ms: int) -> list[dict[str, Any]]:
    """Return the rows of what was not stored as data."""
    return [
        {
            "work_id": item.item.work_id,
            "event_id": item.item.event.event_id,
            "field": bad.field,
            "raw": bad.raw,
            "provider": bad.provider,
            "reason": bad.reason,
            "created_at_ms": now_ms,
            "rev": rev,
        }
        for bad in item.rejected
    ]


def wrong_rows(item: Enrichment, now_ms: int) -> list[dict[str, Any]]:
    """Return the rows of what the event proves wrong: under its record's key, and its person's."""
    event = item.item.event
    reason = str(event.attributes.get("problem", ""))
    people = [key for key in item.subject_keys if not key.startswith(COMPANY_PREFIX)]
    return [
        wrong_row(subject, name, value, reason, event.event_id, now_ms)
        for name, value in item.wrong
        for subject in (event.subject.key, *people)
    ]


def wrong_row(subject: str, name: str, value: str, reason: str, event_id: str, now_ms: int) -> dict[str, Any]:
    """Return the row of a value that is proven wrong for a subject."""
    return {
        "subject": subject,
        "field": name,
        "value_hash": text_hash(value),
        "value": value,
        "reason": reason,
        "event_id": event_id,
        "noted_at_ms": now_ms,
    }


def outbox_row(entry: OutboxEntry, now_ms: int) -> dict[str, Any]:
    """Return the row of an effect that is owed from now on."""
    return {
        "outbox_id": entry.outbox_id,
        "work_id": entry.work_id,
        "event_id": entry.event_id,
        "system": entry.ref.system,
        "object_type": entry.ref.object_type,
        "record_id": entry.ref.record_id,
        "fill": dict(entry.fill),
        "assign": dict(entry.assign),
        "replace": dict(entry.replace),
        "employer": None if entry.employer is None else asdict(entry.employer),
        "state": "owed",
        "next_at_ms": now_ms,
        "created_at_ms": now_ms,
    }


def result_rows(items: Sequence[Enrichment], rev: int, now_ms: int) -> list[tuple[Any, list[dict[str, Any]]]]:
    """Return what enrichments leave behind, by table: values, what was refused, and effects that are owed."""
    return [
        (field_values, [row for item in items for row in value_rows(item, rev)]),
        (quarantine, [row for item in items for row in quarantine_rows(item, rev, now_ms)]),
        (invalid_values, [row for item in items for row in wrong_rows(item, now_ms)]),
        (outbox, [outbox_row(entry, now_ms) for item in items for entry in item.owed]),
    ]


_ENDED = (
    "state",
    "run_id",
    "started_at_ms",
    "finished_at_ms",
    "outcome",
    "reason",
    "missing",
    "cost_micros",
    "steps",
    "rev",
)


def ended_parameters() -> dict[str, BindParameter[Any]]:
    """Return the columns of work that ends, each as the parameter ``b_<column>`` of an update."""
    return {name: bindparam(f"b_{name}") for name in _ENDED}
