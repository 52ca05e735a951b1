"""An enrichment in the making: what is known of the subject at the start, and what it can be asked by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from enrichment_dagster.domain.eligibility import FRESH, all_fresh, in_question
from enrichment_dagster.domain.fields import FIELDS, FieldValue, Level
from enrichment_dagster.domain.keys import COMPANY_PREFIX, domain_subject, email_subject
from enrichment_dagster.domain.normalise import InvalidValueError, normalise, normalise_domain
from enrichment_dagster.domain.waterfall import Knowledge
from enrichment_dagster.engine.circumstances import Circumstances, Identity, identify, refusal
from enrichment_dagster.engine.plan import Plan
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
    address: str | None = None  # what the person can be asked by, even where it is no good for anything else
    former_company: str | None = None  # domain of the company that the record names
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


NOTHING = Circumstances()
_STATUS_OF_ADDRESS = "email_status"


def start_draft(
    item: WorkItem,
    known: Mapping[str, Any],
    plan: Plan,
    now: datetime,
    *,
    known_from: str,
    circumstances: Circumstances = NOTHING,
) -> Draft:
    """Take in what is known; ``skip_reason`` is set where a rule says not to enrich.

    ``known`` are the fields that the record (``known_from``) has, under our names, as the CRM stores them.
    """
    wanted = in_question(plan.wanted, item.event.event_type, item.event.attributes)
    draft = Draft(item, now, Knowledge(wanted))
    identity = identify(item, known)
    draft.skip_reason = refusal(item, identity, circumstances, plan.rules)
    if draft.skip_reason:
        return draft
    _introduce(draft, identity, plan)
    for name, value in circumstances.wrong:
        draft.knowledge.refuse(name, value)
    email = {"email": identity.email} if identity.email else {}
    _take_in(draft, {**_given(item), **known, **email}, known, known_from, plan)
    draft.knowledge.add(value for value in item.earlier if not value.stale)
    fresh = _fresh(circumstances, plan)
    draft.knowledge.add(fresh)
    own = {name for name, value in draft.knowledge.values.items() if not value.precedence}
    if _is_a_first_look(item) and all_fresh(wanted, plan.offered, _ours(draft, fresh), own):
        draft.skip_reason = FRESH
    return draft


def _ours(draft: Draft, values: Iterable[FieldValue]) -> set[str]:
    """Return the fields of these values that are about this person and the company that counts."""
    company = draft.knowledge.company_key
    about_us = (v for v in values if FIELDS[v.field].level is Level.CONTACT or v.subject_key == company)
    return {value.field for value in about_us if not draft.knowledge.is_refused(value)}


def _is_a_first_look(item: WorkItem) -> bool:
    """Say whether the work may end because all is fresh: what the gateway answers is the answer, fresh or not."""
    return item.kind is WorkKind.EVENT and not item.earlier


def _introduce(draft: Draft, identity: Identity, plan: Plan) -> None:
    """Note whom the enrichment is about."""
    company = identity.mail_domain or (identity.domain if plan.rules.needs == "domain" else None)
    draft.knowledge.default_company = domain_subject(company) if company else None
    person = email_subject(identity.email) if identity.email else None
    draft.subject_keys = tuple(key for key in (person, draft.knowledge.default_company) if key)
    draft.address = identity.email
    draft.former_company = identity.domain


def _take_in(draft: Draft, fields: Mapping[str, Any], own: Mapping[str, Any], source: str, plan: Plan) -> None:
    """Take what the record and the sender say, but for what is proven wrong and what is to be asked for anew."""
    values = _known_values(draft, fields, source, draft.started_at)
    refused = {value.field for value in values if draft.knowledge.is_refused(value)}
    if "email" in refused:
        refused.add(_STATUS_OF_ADDRESS)  # it is the bad address's
    draft.replaced = {name: own[name] for name in refused if own.get(name)}
    draft.aside = {value.field: value for value in values if value.field in plan.rules.recheck and value.field in own}
    draft.aside_as_stored = {name: own[name] for name in draft.aside}
    draft.knowledge.add(value for value in values if value.field not in refused and value.field not in draft.aside)


def _fresh(circumstances: Circumstances, plan: Plan) -> list[FieldValue]:
    """Return the wanted values that were bought not long ago, each at the place that its provider has in this plan."""
    return [
        replace(value, precedence=plan.place_of(value.field, value.provider))
        for value in circumstances.fresh
        if value.field in plan.wanted
    ]


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
