"""Edges: who belongs to which company, since when, and who says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from enrichment_dagster.domain.event import RecordRef


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
