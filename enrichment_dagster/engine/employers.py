"""Finding the records of companies that contacts are to be linked to: when they are delivered, and not before.

An outbox entry names the company by its domain. The CRM is asked when it is there to answer, and asked again when not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.keys import COMPANY_PREFIX
from enrichment_dagster.domain.records import ACCOUNT
from enrichment_dagster.ports import Crm, OutboxEntry, RecordMapper

NO_SUCH_COMPANY = "no_such_company"


@dataclass(frozen=True, slots=True)
class Linked:
    """Entries that name companies by their records' ids. ``kept``: by entry, links that lead nowhere, and why."""

    entries: list[OutboxEntry]
    kept: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


async def with_companies(crm: Crm, entries: Sequence[OutboxEntry], mapper: RecordMapper) -> Linked:
    """Return the entries with the companies' ids in place of their domains.

    Raises:
        CrmError: the CRM did not answer.
    """
    domains = dict.fromkeys(domain for entry in entries if (domain := _domain(entry, mapper)))
    if not domains:
        return Linked(list(entries))
    ids = await _ids(crm, list(domains), mapper)
    found, kept = [], {}
    for entry in entries:
        domain, link = _domain(entry, mapper), mapper.link(entry.ref)
        if domain and link:
            rest = {name: value for name, value in entry.assign.items() if name != link}
            found.append(replace(entry, assign={**rest, link: ids[domain]} if domain in ids else rest))
            kept[entry.outbox_id] = {} if domain in ids else {link: NO_SUCH_COMPANY}
        else:
            found.append(entry)
    return Linked(found, kept)


def _domain(entry: OutboxEntry, mapper: RecordMapper) -> str:
    link = mapper.link(entry.ref)
    value = entry.assign.get(link) if link else None
    return value.removeprefix(COMPANY_PREFIX) if isinstance(value, str) and value.startswith(COMPANY_PREFIX) else ""


async def _ids(crm: Crm, domains: Sequence[str], mapper: RecordMapper) -> dict[str, str]:
    """Return the id of each company's record, the last changed one where there are several."""
    ids: dict[str, str] = {}
    for search in mapper.searches(crm.system, RecordRef(ACCOUNT, "domain", domains[0])):
        found = await crm.find(search, domains, search.properties)
        ids.update({domain: records[0].ref.record_id for domain, records in found.items() if records})
    return ids
