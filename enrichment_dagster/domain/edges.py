"""Edges: who belongs to which company, since when, and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.records import COMPANY_TYPES

COMPANY_ID = "company_id"
"""The attribute by which a sender names the record of the company, in the CRM of the event's own record."""
ASSOCIATION_REMOVED = "association_removed"
"""The reason of an event that a contact is linked to a company no more: nobody is enriched, and the edge ends."""


class EdgeKind(StrEnum):
    """Who says that a person belongs to a company."""

    ASSOCIATED = "associated"  # a CRM: the records are linked there
    EMPLOYED = "employed"  # an enrichment: the company whose values were stored with the person's


@dataclass(frozen=True, slots=True)
class Edge:
    """A person belongs to a company.

    Keys are subjects; a record that names no address or domain stands for itself, as ``record:hubspot:company:1``.
    """

    contact_key: str
    company_key: str
    kind: EdgeKind
    at: datetime  # when it was so
    contact: RecordRef | None = None  # the CRM's records, where they are known
    company: RecordRef | None = None
    replaces: bool = False  # the person has left every other company

    @property
    def system(self) -> str:
        """Return the CRM that links the records; empty for what an enrichment says."""
        return self.contact.system if self.contact is not None and self.kind is EdgeKind.ASSOCIATED else ""


def record_key(ref: RecordRef) -> str:
    """Return the key of a subject of whom only a CRM's record is known."""
    return f"record:{ref.key}"


def linked_company(subject: RecordRef, attributes: Mapping[str, Any]) -> RecordRef | None:
    """Return the record of the company that an event of a contact names; None where it names none."""
    kind, company_id = COMPANY_TYPES.get(subject.system), attributes.get(COMPANY_ID)
    return RecordRef(subject.system, kind, str(company_id)) if kind and company_id else None
