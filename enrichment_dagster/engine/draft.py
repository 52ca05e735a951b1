"""An enrichment in the making: what is known of the subject at the start, and what it can be asked by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from enrichment_dagster.domain.eligibility import FRESH, Rules, all_fresh, in_question
from enrichment_dagster.domain.event import Event
from enrichment_dagster.domain.fields import FIELDS, FieldValue, Level
from enrichment_dagster.domain.keys import COMPANY_PREFIX, domain_subject, email_subject
from enrichment_dagster.domain.normalise import (
    InvalidValueError,
    normalise,
    normalise_domain,
    personal_reason,
)
from enrichment_dagster.domain.records import Role, role_of
from enrichment_dagster.domain.waterfall import Knowledge
from enrichment_dagster.engine.circumstances import NO_CIRCUMSTANCES, Circumstances, Identity, identify, refusal
from enrichment_dagster.engine.doubts import has_moved, is_of_the_job
from enrichment_dagster.engine.plan import Plan
from enrichment_dagster.engine.subjects import NOBODY, NOTHING, Known, Subject
from enrichment_dagster.ports import Employer, Query, Step, WorkItem, WorkKind


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
    subject: Subject = NOBODY  # the CRMs' records
    address: str | None = None  # what the person can be asked by, even where it is no good for anything else
    former_company: str | None = None  # domain of the company that the person belongs to, as far as is known
    aside: dict[str, FieldValue] = field(default_factory=dict)  # what the record says, and is asked for all the same
    aside_as_stored: dict[str, Any] = field(default_factory=dict)  # the same as the CRM stores it
    replaced: dict[str, Any] = field(default_factory=dict)  # what the record has of a field that may be written over
    employer: Employer | None = None
    _query: Query | None = None
    _asked_with: Mapping[str, FieldValue] | None = None  # the values that the query was made of

    @property
    def person_key(self) -> str | None:
        """Return the key of the person that it is about; None where it is about a company alone."""
        return next((key for key in self.subject_keys if not key.startswith(COMPANY_PREFIX)), None)

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
            email=_text(values, "email") or self.address,
            domain=company.partition(":")[2] or None,
            company_name=_text(values, "company_name"),
            first_name=_text(values, "first_name"),
            last_name=_text(values, "last_name"),
            known={name: value.value for name, value in values.items()},
            ids=dict(self.ids),
        )

    def subject_key(self, level: Level, own_company: str | None) -> str | None:
        """Return whom a value describes; ``own_company`` is the company that its source names, if it does."""
        if level is Level.COMPANY:
            return own_company or self.knowledge.default_company
        return self.person_key


_STATUS_OF_ADDRESS = "email_status"


def start_draft(
    item: WorkItem,
    known: Mapping[str, Any],
    plan: Plan,
    now: datetime,
    *,
    known_from: str,
    circumstances: Circumstances = NO_CIRCUMSTANCES,
    company: Known = NOTHING,
    subject: Subject = NOBODY,
) -> Draft:
    """Take in what is known; ``skip_reason`` is set where a rule says not to enrich.

    ``known`` are the fields that the record (``known_from``) has, under our names, as the CRM stores them. Of a
    company that has a record of its own (``company``) that record is asked, and not what its people's records say.
    """
    wanted = in_question(plan.wanted, item.event.event_type, item.event.attributes)
    draft = Draft(item, now, Knowledge(wanted), subject=subject)
    identity = identify(item, known, company.fields)
    rules = _rules_for(item.event, company, plan)
    draft.skip_reason = refusal(item, identity, circumstances, rules)
    if draft.skip_reason:
        return draft
    _introduce(draft, identity, rules)
    for name, value in circumstances.wrong:
        draft.knowledge.refuse(name, value)
    _take_in(draft, Known(known, known_from), company, plan)
    draft.knowledge.add(value for value in item.earlier if not value.stale)
    fresh = _fresh(circumstances, plan, item.event)
    draft.knowledge.add(fresh)
    own = {name for name, value in draft.knowledge.values.items() if not value.precedence}
    ours = _ours(draft, fresh)
    # What we hold and a record lacks, it is told. Nobody has to be asked for that.
    lacks_nothing = ours.isdisjoint(subject.blank)
    if lacks_nothing and _is_a_first_look(item) and all_fresh(wanted, plan.offered, ours, own):
        draft.skip_reason = FRESH
    return draft


def _rules_for(event: Event, company: Known, plan: Plan) -> Rules:
    """Return the plan's rules: where nothing of a person is in question, a company that the CRM knows is enough."""
    about_company = role_of(event.subject) in (Role.COMPANY, Role.DEAL)
    enough = about_company or ("company_domain" in company.fields and not plan.about_people)
    return replace(plan.rules, needs="domain") if enough else plan.rules


def _of_level(fields: Mapping[str, Any], level: Level) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if FIELDS[name].level is level}


def _ours(draft: Draft, values: Iterable[FieldValue]) -> set[str]:
    """Return the fields of these values that are about this person and the company that counts."""
    company = draft.knowledge.company_key
    about_us = (v for v in values if FIELDS[v.field].level is Level.CONTACT or v.subject_key == company)
    return {value.field for value in about_us if not draft.knowledge.is_refused(value)}


def _is_a_first_look(item: WorkItem) -> bool:
    """Say whether the work may end because all is fresh: what the gateway answers is the answer, fresh or not."""
    return item.kind is WorkKind.EVENT and not item.earlier


def _introduce(draft: Draft, identity: Identity, rules: Rules) -> None:
    """Note whom the enrichment is about."""
    company = identity.mail_domain or identity.domain
    email = identity.email
    if email and rules.skip_personal and personal_reason(email):
        email = None  # the company behind the person is asked about
    draft.knowledge.default_company = domain_subject(company) if company else None
    person = email_subject(email) if email else None
    draft.subject_keys = tuple(key for key in (person, draft.knowledge.default_company) if key)
    draft.address = email
    draft.former_company = identity.domain


def _take_in(draft: Draft, person: Known, company: Known, plan: Plan) -> None:
    """Take what the records and the sender say, but for what is proven wrong and what is to be asked for anew."""
    event, known, knowledge = draft.item.event, person.fields, draft.knowledge
    of_person = {**_of_level(known, Level.CONTACT), "email": draft.address}
    of_company = {**_given(event), **(company.fields or _of_level(known, Level.COMPANY))}
    values = [
        *_known_values(draft, of_person, person.source, draft.started_at),
        *_known_values(draft, of_company, company.source or person.source, draft.started_at),
    ]
    refused = {value.field for value in values if knowledge.is_refused(value)}
    if "email" in refused:
        refused.add(_STATUS_OF_ADDRESS)  # it is the bad address's
    draft.replaced = {name: known[name] for name in refused if known.get(name)}
    own, moved = {*known, *company.fields}, has_moved(event)
    again = plan.rules.recheck & own
    draft.aside = {v.field: v for v in values if v.field in again or (moved and is_of_the_job(v.field))}
    draft.aside_as_stored = {name: known[name] for name in draft.aside if known.get(name)}
    if moved:  # a company that somebody has left is no company to ask about
        knowledge.default_company = None
        draft.subject_keys = tuple(key for key in (draft.person_key,) if key)
    knowledge.add(value for value in values if value.field not in refused and value.field not in draft.aside)


def _fresh(circumstances: Circumstances, plan: Plan, event: Event) -> list[FieldValue]:
    """Return the wanted values that were bought not long ago, each at the place that its provider has in this plan."""
    moved = has_moved(event)
    return [
        replace(value, precedence=plan.place_of(value.field, value.provider))
        for value in circumstances.fresh
        if value.field in plan.wanted and not (moved and is_of_the_job(value.field))
    ]


def company_key(domain: Any) -> str | None:
    """Return the subject of a company by its own domain: a person may work elsewhere than their address says."""
    try:
        return domain_subject(normalise_domain(domain)) if isinstance(domain, str) else None
    except InvalidValueError:
        return None


def _given(event: Event) -> dict[str, Any]:
    """Return what the sender said of the company, under our field names."""
    names = {"company_name": "company", "company_domain": "domain"}
    return {name: event.attributes[said] for name, said in names.items() if event.attributes.get(said)}


def _known_values(draft: Draft, fields: Mapping[str, Any], source: str, now: datetime) -> list[FieldValue]:
    found = []
    own_company = company_key(fields.get("company_domain"))
    for name, raw in fields.items():
        subject = draft.subject_key(FIELDS[name].level, own_company)
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
