"""An enrichment in the making: what is known of the subject at the start, and what it can be asked by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from enrichment_dagster.domain.fields import FIELDS, FieldValue, Level
from enrichment_dagster.domain.keys import domain_subject, email_subject
from enrichment_dagster.domain.normalise import (
    InvalidValueError,
    email_domain,
    normalise,
    normalise_domain,
    personal_reason,
)
from enrichment_dagster.domain.waterfall import Knowledge
from enrichment_dagster.engine.plan import Plan
from enrichment_dagster.ports import Query, Step, WorkItem


@dataclass(slots=True)
class Draft:
    """An enrichment before validation."""

    item: WorkItem
    started_at: datetime
    knowledge: Knowledge
    skip_reason: str = ""
    fault: str = ""  # an error of ours: the event failed and is tried again
    cost_micros: int = 0
    subject_keys: tuple[str, ...] = ()
    ids: dict[str, str] = field(default_factory=dict)  # vendors' own ids, from their answers
    steps: dict[str, Step] = field(default_factory=dict)  # what became of each lookup, by its name
    awaits: list[str] = field(default_factory=list)  # attempts whose answers come later
    _query: Query | None = None
    _asked_with: Mapping[str, FieldValue] | None = None  # the values that the query was made of

    @property
    def bought(self) -> list[str]:
        """Return the fields whose value came from a provider."""
        return self.knowledge.bought

    def query(self) -> Query:
        """Return what a provider can be asked by, with all that is known by now."""
        values = self.knowledge.values
        if self._query is None or self._asked_with is not values or self._query.ids != self.ids:
            self._query, self._asked_with = self._make_query(values), values
        return self._query

    def _make_query(self, values: Mapping[str, FieldValue]) -> Query:
        company = self.knowledge.company_key or ""
        return Query(
            email=_text(values, "email"),
            domain=company.partition(":")[2] or None,
            company_name=_text(values, "company_name"),
            first_name=_text(values, "first_name"),
            last_name=_text(values, "last_name"),
            known={name: value.value for name, value in values.items()},
            ids=dict(self.ids),
        )

    def subject_key(self, name: str) -> str | None:
        """Return whom a value of this field describes, where the answer itself does not say."""
        if FIELDS[name].level is Level.CONTACT:
            return self.subject_keys[0] if self.subject_keys else None
        return self.knowledge.default_company


def start_draft(item: WorkItem, known: Mapping[str, Any], plan: Plan, now: datetime, *, known_from: str) -> Draft:
    """Take in what is known; ``skip_reason`` is set where a rule says not to enrich.

    ``known`` are the fields that the record (``known_from``) has, under our names, as the CRM stores them.
    """
    draft = Draft(item, now, Knowledge(plan.wanted))
    raw = known.get("email") or item.event.attributes.get("email")
    try:
        email = normalise("email", raw)
    except InvalidValueError:
        draft.skip_reason = "invalid_email"
        return draft
    if not isinstance(email, str):
        draft.skip_reason = "no_email"
        return draft
    if plan.skip_personal and (reason := personal_reason(email)):
        draft.skip_reason = reason
        return draft
    domain = _company_domain(email)
    draft.knowledge.default_company = domain_subject(domain) if domain else None
    draft.subject_keys = tuple(key for key in (email_subject(email), draft.knowledge.default_company) if key)
    draft.knowledge.add(_known_values(draft, {**_given(item), **known, "email": email}, known_from, now))
    draft.knowledge.add(value for value in item.earlier if not value.stale)
    return draft


def company_key(domain: Any) -> str | None:
    """Return the subject of a company by its own domain: a person may work elsewhere than their address says."""
    try:
        return domain_subject(normalise_domain(domain)) if isinstance(domain, str) else None
    except InvalidValueError:
        return None


def _given(item: WorkItem) -> dict[str, Any]:
    """Return what the sender said of the subject, under our field names."""
    names = {"company_name": "company", "company_domain": "domain"}
    attributes = item.event.attributes
    return {name: attributes[said] for name, said in names.items() if attributes.get(said)}


def _company_domain(email: str) -> str | None:
    if personal_reason(email):
        return None  # the mail host's company is not the person's
    try:
        return normalise_domain(email_domain(email))
    except InvalidValueError:
        return None


def _known_values(draft: Draft, fields: Mapping[str, Any], source: str, now: datetime) -> list[FieldValue]:
    found = []
    own_company = company_key(fields.get("company_domain"))
    for name, raw in fields.items():
        is_company = FIELDS[name].level is Level.COMPANY
        subject = (own_company if is_company else None) or draft.subject_key(name)
        try:
            value = normalise(name, raw)
        except InvalidValueError:
            continue  # the record keeps it as it is; for us the field is empty
        if value is not None and subject:
            found.append(FieldValue(name, value, source, subject, now))
    return found


def _text(values: Mapping[str, FieldValue], name: str) -> str | None:
    found = values.get(name)
    return found.value if found is not None and isinstance(found.value, str) else None


def add_step(draft: Draft, step: Step) -> None:
    """Note what became of a lookup; asked again (about another subject), the costs add up."""
    before = draft.steps.get(step.lookup)
    if before is not None and before.cost_micros:
        step = replace(step, cost_micros=step.cost_micros + before.cost_micros)
    draft.steps[step.lookup] = step
