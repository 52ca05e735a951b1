"""Which edges between people and companies an enrichment has seen: those of the CRM, and those that it found itself."""

from __future__ import annotations

from collections.abc import Iterator

from enrichment_dagster.domain.edges import COMPANY_ID, Edge, EdgeKind, record_key
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.fields import FIELDS, Level
from enrichment_dagster.domain.keys import email_subject
from enrichment_dagster.domain.normalise import InvalidValueError, normalise
from enrichment_dagster.domain.records import Role, role_of
from enrichment_dagster.engine.draft import Draft, company_key
from enrichment_dagster.ports import CrmRecord, RecordMapper


def found_edges(draft: Draft, mapper: RecordMapper) -> tuple[Edge, ...]:
    """Return the edges. What the CRM links is a fact even where a rule says not to enrich."""
    return (*_associated(draft, mapper), *_employed(draft, mapper))


def _associated(draft: Draft, mapper: RecordMapper) -> Iterator[Edge]:
    event = draft.item.event
    at = event.occurred_at if event.attributes.get(COMPANY_ID) else draft.started_at
    for owner, company in draft.subject.links:
        if role_of(owner) is Role.PERSON:
            yield Edge(
                _contact_key(draft, owner, mapper),
                _company_key(company, mapper),
                EdgeKind.ASSOCIATED,
                at,
                owner,
                company.ref,
            )


def _contact_key(draft: Draft, owner: RecordRef, mapper: RecordMapper) -> str:
    record = next((one for one in draft.subject.own if one.ref == owner), None)
    raw = mapper.known(owner, record.properties).get("email") if record else draft.item.event.attributes.get("email")
    try:
        email = normalise("email", raw)
    except InvalidValueError:
        email = None
    return email_subject(email) if isinstance(email, str) else record_key(owner)


def _company_key(record: CrmRecord, mapper: RecordMapper) -> str:
    return company_key(mapper.known(record.ref, record.properties).get("company_domain")) or record_key(record.ref)


def _employed(draft: Draft, mapper: RecordMapper) -> Iterator[Edge]:
    """Yield the company whose values were found together with the person's."""
    person, company, values = draft.person_key, draft.knowledge.company_key, draft.knowledge.values.values()
    of_company = [v for v in values if FIELDS[v.field].level is Level.COMPANY and v.subject_key == company]
    if draft.skip_reason or person is None or company is None or not of_company:
        return
    own = next((record.ref for record in draft.subject.own if role_of(record.ref) is Role.PERSON), None)
    record = next((one.ref for one in draft.subject.companies if _company_key(one, mapper) == company), None)
    yield Edge(person, company, EdgeKind.EMPLOYED, draft.started_at, own, record, replaces=draft.employer is not None)
