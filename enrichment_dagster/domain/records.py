"""What kinds of records the CRMs have, and what each of them describes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from enrichment_dagster.domain.event import RecordRef


class Role(StrEnum):
    """Whom or what a record describes."""

    PERSON = "person"
    COMPANY = "company"
    DEAL = "deal"


PERSON_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"hubspot": ("contact",), "salesforce": ("contact", "lead")}
)
"""The kinds of records of people by CRM. A person who is both is the contact: a lead is what a contact was before."""

COMPANY_TYPES: Mapping[str, str] = MappingProxyType({"hubspot": "company", "salesforce": "account"})
"""The kind of record of companies by CRM."""

DEAL_TYPES: Mapping[str, str] = MappingProxyType({"hubspot": "deal", "salesforce": "opportunity"})

_ROLES: Mapping[str, Role] = MappingProxyType(
    {
        **{kind: Role.PERSON for kinds in PERSON_TYPES.values() for kind in kinds},
        **dict.fromkeys(COMPANY_TYPES.values(), Role.COMPANY),
        **dict.fromkeys(DEAL_TYPES.values(), Role.DEAL),
    }
)

PERSON, ACCOUNT = "person", "account"
"""Systems of subjects that are no CRM's records: a person by ``email`` or ``phone``, an account by ``domain``."""


def role_of_kind(object_type: str) -> Role | None:
    """Return what records of this kind describe; None for a kind that is not known."""
    return _ROLES.get(object_type)


def role_of(subject: RecordRef) -> Role | None:
    """Return what the subject of an event is; None where that can't be said."""
    if subject.system == PERSON:
        return Role.PERSON
    return Role.COMPANY if subject.system == ACCOUNT else role_of_kind(subject.object_type)
