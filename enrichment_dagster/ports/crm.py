"""What the engine asks of CRMs: reading records, finding them, planning what is written to them, writing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from enrichment_dagster.domain.eligibility import Standing
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.fields import Value
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.domain.routing import RoutingDecision
from enrichment_dagster.ports.work import OutboxEntry


@dataclass(frozen=True, slots=True)
class CrmRecord:
    """A record as the CRM has it now. ``properties`` are the CRM's own names; absent and None mean empty."""

    ref: RecordRef
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordUpdate:
    """The properties to write to one record, exactly these."""

    ref: RecordRef
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CrmFailure:
    """Why one record of a batch could not be read or written."""

    reason: str  # "not_found", "validation", "locked", ...
    transient: bool
    detail: str = ""
    properties: frozenset[str] = frozenset()  # what an update is refused for; empty where the CRM does not name it


@dataclass(frozen=True, slots=True)
class Search:
    """Which records are looked for: those of a kind that hold a value in any of these properties."""

    object_type: str
    by: Literal["email", "phone", "domain"]  # what the values are: addresses, E.164 numbers, registrable domains
    properties: tuple[str, ...]


class Crm(Protocol):
    """A CRM that is read and written in batches of any size; the adapter cuts them to the vendor's limits."""

    @property
    def system(self) -> str:
        """Return the CRM's name as records carry it: "hubspot", "salesforce"."""
        ...

    async def read(
        self, refs: Sequence[RecordRef], properties: Sequence[str]
    ) -> Mapping[RecordRef, CrmRecord | CrmFailure]:
        """Return every asked record, or why it can't be read.

        Raises:
            CrmError: the CRM as a whole did not answer (down, throttled, unauthorized).
        """
        ...

    async def find(
        self, search: Search, values: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, Sequence[CrmRecord]]:
        """Return the records that hold each value, the last changed first; a value that nobody holds is absent.

        Raises:
            CrmError: the CRM as a whole did not answer.
        """
        ...

    async def write(self, updates: Sequence[RecordUpdate]) -> Mapping[RecordRef, CrmFailure | None]:
        """Write every update; None means written.

        Raises:
            CrmError: the CRM as a whole did not answer; any of the updates may have been written.
        """
        ...


@dataclass(frozen=True, slots=True)
class WritePlan:
    """What of an outbox entry is to be written to a record as it is now."""

    to_write: Mapping[str, Any]
    kept: Mapping[str, str]  # property -> why ours is not written ("filled", "equal")


class RecordMapper(Protocol):
    """Between our fields and a CRM's properties, by the configuration."""

    def knows(self, ref: RecordRef) -> bool:
        """Say whether records of this kind are configured."""
        ...

    def properties(self, ref: RecordRef) -> Sequence[str]:
        """Return the properties to read of such a record."""
        ...

    def link(self, ref: RecordRef) -> str | None:
        """Return the property that holds the id of the record's company; None for records without one.

        It is read and written like any other. In an outbox entry it may hold a company's subject, ``domain:acme.com``:
        the delivery finds that company's record.
        """
        ...

    def company(self, ref: RecordRef, company_id: Any) -> RecordRef | None:
        """Return the record of the company that ``company_id`` names in the same CRM; None where it is of no use."""
        ...

    def searches(self, system: str, subject: RecordRef) -> Sequence[Search]:
        """Return how the records of a ``person`` or ``account`` subject are looked for in a CRM, the best way first."""
        ...

    def known(self, ref: RecordRef, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the record's filled fields under our names, as the CRM stores them."""
        ...

    def blank(self, ref: RecordRef, properties: Mapping[str, Any]) -> frozenset[str]:
        """Return the fields that such a record has a place for, and this one nothing in it."""
        ...

    def standing(self, ref: RecordRef, properties: Mapping[str, Any]) -> Standing:
        """Return what the record says of itself beside its fields."""
        ...

    def fill(self, ref: RecordRef, values: Mapping[str, Value]) -> Mapping[str, Any]:
        """Return the properties that hold these values."""
        ...

    def status(self, ref: RecordRef, outcome: Outcome, missing: Sequence[str], at: datetime) -> Mapping[str, Any]:
        """Return the properties that say how the enrichment went."""
        ...

    def routing(self, ref: RecordRef, decision: RoutingDecision) -> Mapping[str, Any]:
        """Return the properties that say where the lead goes."""
        ...

    def plan_write(self, ref: RecordRef, current: Mapping[str, Any], entry: OutboxEntry) -> WritePlan:
        """Compare what is owed with the record: equal values are not written, filled properties are left alone.

        But for a value that ``entry.replace`` names: that one, and no other, is replaced.
        """
        ...
