"""Events, work, plans and values with sensible defaults; a test names only what it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from support.clock import START

from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.fields import FIELDS, FieldValue, Level
from enrichment_dagster.domain.keys import dedup_key, event_id
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.domain.waterfall import Knowledge
from enrichment_dagster.engine.draft import Draft
from enrichment_dagster.engine.plan import Plan, make_plan
from enrichment_dagster.ports import Enrichment, Lookup, OutboxEntry, WorkItem, WorkKind

EMAIL = "jane.doe@acme.com"
PERSON, COMPANY = "email:jane.doe@acme.com", "domain:acme.com"
WANTED = ("email", "title", "company_name", "employees")


def an_event(number: int = 1, *, at: datetime = START, **changes: Any) -> Event:
    key = dedup_key("hubspot", number)
    given: dict[str, Any] = {
        "event_id": event_id(key),
        "dedup_key": key,
        "event_type": "lead_created",
        "source": "hubspot",
        "subject": RecordRef("hubspot", "contact", str(number)),
        "occurred_at": at - timedelta(seconds=1),
        "received_at": at,
        "attributes": {"email": EMAIL},
    }
    return Event(**{**given, **changes})


def an_item(
    number: int = 1, *, kind: WorkKind = WorkKind.EVENT, tries: int = 0, deferrals: int = 0, **changes: Any
) -> WorkItem:
    event = an_event(number, **changes)
    return WorkItem(event.event_id, kind, event, tries, deferrals)


def a_plan(*lookups: Lookup, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "wanted": WANTED,
        "deadline_seconds": 25.0,
        "follow_up_seconds": (300.0, 1_800.0),
        "value_ttl": timedelta(days=1),
        "prefer": "listed",
    }
    return make_plan("lead_created", lookups, **{**given, **changes})


def a_value(
    field: str = "title",
    value: Any = "CTO",
    provider: str = "apollo",
    subject_key: str = "",
    precedence: int = 1,
    **changes: Any,
) -> FieldValue:
    subject_key = subject_key or (COMPANY if FIELDS[field].level is Level.COMPANY else PERSON)
    given: dict[str, Any] = {"fetched_at": START, "precedence": precedence}
    return FieldValue(field, value, provider, subject_key, **{**given, **changes})


def a_draft(*values: FieldValue, number: int = 1, known: set[str] = frozenset(), **changes: Any) -> Draft:
    """``known`` names the fields that the record itself had."""
    knowledge = Knowledge(WANTED, COMPANY)
    knowledge.add(replace(value, precedence=0) if value.field in known else value for value in values)
    return Draft(an_item(number), START, knowledge, **changes)


def an_entry(item: WorkItem | None = None, **changes: Any) -> OutboxEntry:
    item = item or an_item()
    given: dict[str, Any] = {
        "outbox_id": f"out-{item.work_id}",
        "work_id": item.work_id,
        "event_id": item.event.event_id,
        "ref": item.event.subject,
        "fill": {"jobtitle": "CTO"},
        "assign": {"enrichment_status": "Complete"},
    }
    return OutboxEntry(**{**given, **changes})


def an_enrichment(item: WorkItem, outcome: Outcome = Outcome.ENRICHED, **changes: Any) -> Enrichment:
    given: dict[str, Any] = {"item": item, "outcome": outcome, "reason": "", "started_at": item.event.received_at}
    return Enrichment(**{**given, **changes})
