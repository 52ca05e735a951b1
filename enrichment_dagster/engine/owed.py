"""What an enrichment owes to the CRMs' records: to the event's own, and to that of the company behind it.

A record is told what belongs on it: everything that the mapping has a place for on the event's own record, and only the
company's fields on a company's. Two companies never meet in one record: a company is told what was found of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from enrichment_dagster.domain.eligibility import LEFT_ALONE
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.fields import FIELDS, Level, Value
from enrichment_dagster.domain.keys import domain_subject, idempotency_key
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.domain.records import Role, role_of
from enrichment_dagster.engine.draft import Draft, company_key
from enrichment_dagster.ports import CrmRecord, Employer, OutboxEntry, RecordMapper

Promised = dict[RecordRef, set[str]]
"""The fields of companies that other events of the same batch owe already: their records get each of them once."""


def owed_entries(
    draft: Draft,
    outcome: Outcome,
    reason: str,
    missing: Sequence[str],
    mapper: RecordMapper,
    now: datetime,
    promised: Promised,
) -> list[OutboxEntry]:
    """Return what is owed, the event's own record first. Only own records get a status."""
    if reason == "record_not_found" or reason in LEFT_ALONE:
        return []
    bought = {name: draft.knowledge.values[name].value for name in draft.bought}
    replaced = {name: raw for name, raw in draft.replaced.items() if name in bought}
    own = list(_own(draft, mapper))
    entries = []
    for ref in own:
        entry = _entry(draft, ref, mapper.fill(ref, _fitting(draft, ref, bought, mapper)))
        status = mapper.status(ref, outcome, missing, now)
        if role_of(ref) in (Role.PERSON, None):
            entry = replace(entry, replace=mapper.fill(ref, replaced), employer=draft.employer)
        entries.append(replace(entry, assign=_with_employer(ref, status, draft.employer, mapper)))
    companies = () if draft.employer else draft.subject.companies  # of whoever has left, nothing is the company's
    entries.extend(
        _entry(draft, company.ref, mapper.fill(company.ref, _lacking(company, bought, mapper, promised)))
        for company in companies
        if company.ref not in own and _is_of(company, draft, mapper)
    )
    return [entry for entry in entries if entry.fill or entry.assign]


def _lacking(
    company: CrmRecord, bought: Mapping[str, Value], mapper: RecordMapper, promised: Promised
) -> Mapping[str, Value]:
    """Return the company's fields that its record lacks and nobody else has promised."""
    there = set(mapper.known(company.ref, company.properties)) | promised.setdefault(company.ref, set())
    lacking = {n: v for n, v in bought.items() if FIELDS[n].level is Level.COMPANY and n not in there}
    promised[company.ref].update(lacking)
    return lacking


def _own(draft: Draft, mapper: RecordMapper) -> Iterator[RecordRef]:
    """Yield the event's own records: the one that it names, else those that were found."""
    ref = draft.item.event.subject
    if mapper.knows(ref):
        yield ref
    elif draft.subject.sought:
        yield from (record.ref for record in draft.subject.own)


def _fitting(draft: Draft, ref: RecordRef, bought: Mapping[str, Value], mapper: RecordMapper) -> Mapping[str, Value]:
    record = next((one for one in draft.subject.own if one.ref == ref), None)
    if record is not None and role_of(ref) is Role.COMPANY and not _is_of(record, draft, mapper):
        return {}
    return bought


def _is_of(record: CrmRecord, draft: Draft, mapper: RecordMapper) -> bool:
    """Say whether what was found is of the company whose record this is; a record without a domain is the company's."""
    own = company_key(mapper.known(record.ref, record.properties).get("company_domain"))
    return own is None or own == draft.knowledge.company_key


def _with_employer(
    ref: RecordRef, status: Mapping[str, Any], employer: Employer | None, mapper: RecordMapper
) -> Mapping[str, Any]:
    """Let the delivery link the record to the company's, which it finds by the domain."""
    link = mapper.link(ref) if employer and role_of(ref) is Role.PERSON else None
    return {**status, link: domain_subject(employer.domain)} if employer and link else status


def _entry(draft: Draft, ref: RecordRef, fill: Mapping[str, Any]) -> OutboxEntry:
    return OutboxEntry(
        outbox_id=idempotency_key("crm_write", draft.item.work_id, ref.key),
        work_id=draft.item.work_id,
        event_id=draft.item.event.event_id,
        ref=ref,
        fill=fill,
    )
