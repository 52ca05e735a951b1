"""Whom events are about: their own records or those that are found, and the records of the companies behind them.

One batched read for each kind of record, at the start of a batch: first the events' own, and those of people and
accounts that are known by address, number or domain only; then the companies that these belong to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from enrichment_dagster.domain.edges import COMPANY_ID
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.fields import COMPANY_FIELDS
from enrichment_dagster.domain.records import ACCOUNT, PERSON, Role, role_of
from enrichment_dagster.errors import CrmError
from enrichment_dagster.ports import Crm, CrmFailure, CrmRecord, RecordMapper

_log = structlog.get_logger(__name__)

FORBIDDEN = "forbidden"
"""The reason of a CRM that lets us see some kinds of records, and not these."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom one event is about, as the CRMs have it."""

    own: tuple[CrmRecord, ...] = ()  # the event's record, or one for each CRM in which it was found
    companies: tuple[CrmRecord, ...] = ()  # the companies' records; the same where the event is about a company
    links: tuple[tuple[RecordRef, CrmRecord], ...] = ()  # whose company is which
    failure: CrmFailure | None = None  # why the event's record can't be read, for good
    unread: bool = False  # a CRM that may have the event's record did not answer
    company_unread: bool = False
    sought: bool = False  # the event names no record: it was looked for
    blank: frozenset[str] = frozenset()  # fields that one of the records has a place for, and nothing in it


NOBODY = Subject()


class Subjects:
    """What was read for the events of a batch."""

    def __init__(self, crms: Mapping[str, Crm], mapper: RecordMapper) -> None:
        self._crms = crms
        self._mapper = mapper
        self._records: dict[RecordRef, CrmRecord | CrmFailure] = {}
        self._found: dict[tuple[str, RecordRef], CrmRecord] = {}  # by CRM and subject
        self._down: set[tuple[str, str]] = set()  # CRM and kind of subject: it did not answer, and is not asked again

    def of(self, event: Event) -> Subject:
        """Return whom an event is about."""
        subject = event.subject
        record = self._records.get(subject)
        own = tuple(self._own(subject))
        links = tuple(self._links(event, own))
        about_company = role_of(subject) is Role.COMPANY
        companies = own if about_company else tuple({company.ref: company for _, company in links}.values())
        sought = subject.system in (PERSON, ACCOUNT)
        return Subject(
            own=own,
            companies=companies,
            links=() if about_company else links,
            failure=record if isinstance(record, CrmFailure) and not record.transient else None,
            unread=not own and (self._is_unsought(subject) if sought else self._is_unread(subject)),
            company_unread=any(not self._is_read(ref) for _, ref in self._company_refs(event, own)),
            sought=sought,
            blank=self._blank(own, companies),
        )

    def _blank(self, own: Sequence[CrmRecord], companies: Sequence[CrmRecord]) -> frozenset[str]:
        """Return what the records lack; a company's record takes nothing of a person."""
        of_own = (self._mapper.blank(one.ref, one.properties) for one in own)
        of_companies = (self._mapper.blank(one.ref, one.properties) & COMPANY_FIELDS for one in companies)
        return frozenset().union(*of_own, *of_companies)

    def _own(self, subject: RecordRef) -> Iterator[CrmRecord]:
        record = self._records.get(subject)
        if isinstance(record, CrmRecord):
            yield record
        yield from (self._found[system, subject] for system in self._crms if (system, subject) in self._found)

    def _is_unread(self, ref: RecordRef) -> bool:
        record = self._records.get(ref)
        is_down = record is None and (ref.system, ref.object_type) in self._down
        return is_down or (isinstance(record, CrmFailure) and record.transient)

    def _is_unsought(self, subject: RecordRef) -> bool:
        return any((system, subject.system) in self._down for system in self._crms)

    def _is_read(self, ref: RecordRef) -> bool:
        record = self._records.get(ref)
        return record is not None and not (isinstance(record, CrmFailure) and record.transient)

    def _links(self, event: Event, own: Sequence[CrmRecord]) -> Iterator[tuple[RecordRef, CrmRecord]]:
        for owner, ref in self._company_refs(event, own):
            record = self._records.get(ref)
            if isinstance(record, CrmRecord):
                yield owner, record

    def _company_refs(self, event: Event, own: Sequence[CrmRecord]) -> Iterator[tuple[RecordRef, RecordRef]]:
        """Yield the company of each record: the one that the event names, else the one that its record is linked to."""
        if role_of(event.subject) is Role.COMPANY:
            return
        said = self._mapper.company(event.subject, event.attributes.get(COMPANY_ID))
        if said is not None and said.system in self._crms:
            yield event.subject, said
            return
        for record in own:
            link = self._mapper.link(record.ref)
            company = self._mapper.company(record.ref, record.properties.get(link)) if link else None
            if company is not None:
                yield record.ref, company

    # --- reading -----------------------------------------------------------------------------------------------------

    async def read(self, events: Sequence[Event]) -> None:
        """Read what the CRMs hold on the subjects of these events; CRMs that do not answer are left out."""
        await self.read_own(event.subject for event in events)
        await self.read_companies(events)

    async def read_own(self, subjects: Iterable[RecordRef]) -> None:
        """Read the events' own records and look for those that are known by what they hold only."""
        asked = [ref for ref in dict.fromkeys(subjects) if ref not in self._records]
        known = [ref for ref in asked if ref.system in self._crms and self._mapper.knows(ref)]
        sought = [ref for ref in asked if ref.system in (PERSON, ACCOUNT)]
        async with asyncio.TaskGroup() as group:
            for refs in _by_kind(known):
                group.create_task(self._read_own(refs))
            for system in self._crms if sought else ():
                group.create_task(self._seek(system, sought))

    async def read_companies(self, events: Iterable[Event]) -> None:
        """Read the companies that the events' records belong to."""
        refs = (ref for event in events for _, ref in self._company_refs(event, tuple(self._own(event.subject))))
        missing = [ref for ref in dict.fromkeys(refs) if ref not in self._records]
        async with asyncio.TaskGroup() as group:
            for same in _by_kind(missing):
                group.create_task(self._read_company(same))

    async def _read_own(self, refs: Sequence[RecordRef]) -> None:
        kind = (refs[0].system, refs[0].object_type)
        if kind in self._down:
            return
        try:
            self._records.update(await self._crms[refs[0].system].read(refs, self._properties(refs[0])))
        except CrmError as error:
            self._is_down(kind, error)

    async def _read_company(self, refs: Sequence[RecordRef]) -> None:
        """Read companies. Where we may not, or where that is not set up, people are enriched without them."""
        try:
            self._records.update(await self._crms[refs[0].system].read(refs, self._properties(refs[0])))
        except CrmError as error:
            self._records.update(dict.fromkeys(refs, CrmFailure(error.reason, error.transient, error.detail)))

    async def _seek(self, system: str, subjects: Sequence[RecordRef]) -> None:
        for same in _by_kind(subjects):
            kind = (system, same[0].system)
            if kind in self._down:
                continue
            try:
                await self._seek_kind(system, same)
            except CrmError as error:
                # A CRM whose companies we may not see has none for us: to wait for it would be to wait for ever.
                if not (error.reason == FORBIDDEN and same[0].system == ACCOUNT):
                    self._is_down(kind, error)

    def _is_down(self, kind: tuple[str, str], error: CrmError) -> None:
        """Ask a CRM for a kind of subject no more; events that need it are put off, and only the log says why."""
        self._down.add(kind)
        _log.warning("a CRM can't be read", system=kind[0], kind=kind[1], reason=error.reason, detail=error.detail)

    async def _seek_kind(self, system: str, subjects: Sequence[RecordRef]) -> None:
        """Look for subjects that are known by the same, one way after the other until they are found."""
        left = {subject.record_id: subject for subject in subjects}
        for search in self._mapper.searches(system, subjects[0]):
            if not left:
                return
            properties = self._properties(RecordRef(system, search.object_type, ""))
            found = await self._crms[system].find(search, list(left), properties)
            for value, records in found.items():
                if records and value in left:
                    self._found[system, left.pop(value)] = records[0]

    def _properties(self, ref: RecordRef) -> list[str]:
        """Return what is read of such records: what is mapped, and the company that they belong to."""
        link = self._mapper.link(ref)
        return [*self._mapper.properties(ref), *([link] if link else [])]


@dataclass(frozen=True, slots=True)
class Known:
    """What a record says of a person or a company, under our names, as the CRM stores it."""

    fields: Mapping[str, object] = field(default_factory=dict)
    source: str = ""  # the CRM


NOTHING = Known()


def known_person(subject: Subject, event: Event, mapper: RecordMapper) -> Known:
    """Return what is known of the person; nothing where the event is about a company or deal."""
    if role_of(event.subject) in (Role.COMPANY, Role.DEAL) or not subject.own:
        return NOTHING
    record = subject.own[0]
    return Known(mapper.known(record.ref, record.properties), record.ref.system)


def known_company(subject: Subject, event: Event, mapper: RecordMapper) -> Known:
    """Return what is known of the company; a deal's own fields are about its company, too."""
    deals = subject.own[:1] if role_of(event.subject) is Role.DEAL else ()
    records = [*subject.companies[:1], *deals]
    if not records:
        return NOTHING
    fields: dict[str, object] = {}
    for record in reversed(records):
        fields.update(mapper.known(record.ref, record.properties))
    return Known(fields, records[0].ref.system)


def _by_kind(refs: Sequence[RecordRef]) -> list[list[RecordRef]]:
    """Group by kind of record: each has properties of its own."""
    kinds: dict[tuple[str, str], list[RecordRef]] = {}
    for ref in refs:
        kinds.setdefault((ref.system, ref.object_type), []).append(ref)
    return list(kinds.values())
