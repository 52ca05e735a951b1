"""Enriching one event: what the CRM knows, then one lookup after the other until every wanted field is filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from enrichment_dagster.clock import Clock
from enrichment_dagster.domain.fields import FIELDS, FieldValue, Level, RejectedValue
from enrichment_dagster.domain.keys import domain_subject, email_subject
from enrichment_dagster.domain.normalise import (
    InvalidValueError,
    email_domain,
    normalise,
    normalise_domain,
    personal_reason,
)
from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.domain.waterfall import Knowledge
from enrichment_dagster.engine.purchase import Buyer, Purchase
from enrichment_dagster.ports import Lookup, Query, WorkItem

_RAW_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What one event type needs: its fields, whom to ask in which order, and for how long."""

    event_type: str
    wanted: tuple[str, ...]
    lookups: tuple[Lookup, ...]
    deadline_seconds: float
    skip_personal: bool
    follow_up_seconds: tuple[float, ...]
    value_ttl: timedelta

    @property
    def offered(self) -> frozenset[str]:
        """Return all fields that the plan's lookups can fill."""
        return frozenset().union(*(lookup.gives for lookup in self.lookups))


@dataclass(slots=True)
class Draft:
    """An enrichment before validation."""

    item: WorkItem
    started_at: datetime
    knowledge: Knowledge
    skip_reason: str = ""
    fault: str = ""  # an error of ours: the event failed and is tried again
    cost_micros: int = 0
    bought: set[str] = field(default_factory=set)  # fields that this enrichment added
    subject_keys: tuple[str, ...] = ()


async def enrich_event(
    item: WorkItem, known: Mapping[str, Any], plan: Plan, buyer: Buyer, clock: Clock, *, known_from: str
) -> Draft:
    """Fill the event's wanted fields from the plan's lookups, within the plan's deadline.

    ``known`` are the fields that the record (``known_from``) has already, under our names; they are kept.
    """
    draft = Draft(item, clock.now(), Knowledge(plan.wanted))
    deadline = clock.monotonic() + plan.deadline_seconds
    query = _prepare(draft, known, plan, clock, known_from)
    if query is None:
        return draft
    for lookup in plan.lookups:
        if draft.knowledge.useful(lookup.gives):
            await _ask(draft, lookup, query, plan, buyer, deadline)
    return draft


def _prepare(draft: Draft, known: Mapping[str, Any], plan: Plan, clock: Clock, source: str) -> Query | None:
    """Take in what is known and build the query; None (with the reason) where a rule says not to enrich."""
    raw = known.get("email") or draft.item.event.attributes.get("email")
    try:
        email = normalise("email", raw)
    except InvalidValueError:
        draft.skip_reason = "invalid_email"
        return None
    if not isinstance(email, str):
        draft.skip_reason = "no_email"
        return None
    if plan.skip_personal and (reason := personal_reason(email)):
        draft.skip_reason = reason
        return None
    domain = _company_domain(email)
    draft.subject_keys = tuple(key for key in (email_subject(email), domain_subject(domain) if domain else "") if key)
    fields = {**_given(draft.item), **known, "email": email}
    draft.knowledge.add(_known_values(draft, fields, source, clock.now()))
    return Query(
        email=email,
        domain=domain,
        company_name=_text_of(draft, "company_name"),
        first_name=_text_of(draft, "first_name"),
        last_name=_text_of(draft, "last_name"),
    )


def _given(item: WorkItem) -> dict[str, Any]:
    """Return what the sender said of the subject, under our field names."""
    company = item.event.attributes.get("company")
    return {"company_name": company} if company else {}


def _company_domain(email: str) -> str | None:
    domain = email_domain(email)
    if personal_reason(email):
        return None  # the mail host's company is not the person's
    try:
        return normalise_domain(domain)
    except InvalidValueError:
        return None


def _text_of(draft: Draft, name: str) -> str | None:
    value = draft.knowledge.values.get(name)
    return value.value if value is not None and isinstance(value.value, str) else None


def _known_values(draft: Draft, fields: Mapping[str, Any], source: str, now: datetime) -> list[FieldValue]:
    found = []
    company_key = _company_key(fields.get("company_domain"))
    for name, raw in fields.items():
        is_company = FIELDS[name].level is Level.COMPANY
        subject_key = (company_key if is_company else None) or _subject_key(draft, name)
        try:
            value = normalise(name, raw)
        except InvalidValueError:
            continue  # the record keeps it as it is; for us the field is empty
        if value is not None and subject_key:
            found.append(FieldValue(name, value, source, subject_key, now))
    return found


def _subject_key(draft: Draft, name: str) -> str | None:
    if FIELDS[name].level is Level.CONTACT:
        return draft.subject_keys[0]
    return draft.subject_keys[1] if len(draft.subject_keys) > 1 else None


async def _ask(draft: Draft, lookup: Lookup, query: Query, plan: Plan, buyer: Buyer, deadline: float) -> None:
    subject = lookup.subject(query)
    if subject is None:
        draft.knowledge.obstruct(lookup.gives, MissingReason.POLICY)
        return
    purchase = await buyer.ask(lookup, query, subject, event_id=draft.item.event.event_id, deadline=deadline)
    draft.cost_micros += purchase.cost_micros
    if purchase.answer is None:
        timed_out = purchase.failure == "timeout"
        reason = MissingReason.TIMEOUT if timed_out else MissingReason.PROVIDER_DOWN
        draft.knowledge.obstruct(lookup.gives, reason)
        return
    fresh = [value for value in _values(draft, lookup, purchase, plan) if value.field not in draft.knowledge.values]
    if fresh:
        # The call's price stands once, on the first value that it added.
        fresh[0] = replace(fresh[0], cost_micros=purchase.cost_micros)
    kept = draft.knowledge.add(fresh)
    draft.bought.update(value.field for value in kept)


def _values(draft: Draft, lookup: Lookup, purchase: Purchase, plan: Plan) -> list[FieldValue]:
    """Bring an answer into our forms; what does not fit its field is set aside with the reason."""
    assert purchase.answer is not None
    values: list[FieldValue] = []
    company_key = _company_key(
        next((raw.value for raw in purchase.answer.values if raw.field == "company_domain"), None)
    )
    for raw in purchase.answer.values:
        is_company = FIELDS[raw.field].level is Level.COMPANY
        subject_key = (company_key if is_company else None) or _subject_key(draft, raw.field)
        if subject_key is None:
            continue
        try:
            value = normalise(raw.field, raw.value)
        except InvalidValueError as error:
            text = repr(raw.value)[:_RAW_LENGTH]
            draft.knowledge.rejected.append(RejectedValue(raw.field, text, lookup.provider, str(error)))
            continue
        if value is None:
            continue
        verified = purchase.fetched_at if raw.field == "email_status" else None
        values.append(
            FieldValue(
                field=raw.field,
                value=value,
                provider=lookup.provider,
                subject_key=subject_key,
                fetched_at=purchase.fetched_at,
                confidence=raw.confidence,
                verified_at=verified,
                expires_at=purchase.fetched_at + plan.value_ttl,
                request_id=purchase.answer.request_id,
            )
        )
    return values


def _company_key(company_domain: Any) -> str | None:
    """Return the subject of a company by its own domain: a person may work elsewhere than their address says."""
    try:
        return domain_subject(normalise_domain(company_domain)) if isinstance(company_domain, str) else None
    except InvalidValueError:
        return None
