"""The field catalogue: every field that can be wanted, bought, stored and written back, with its type and owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

Scalar = str | int | float | bool
Value = Scalar | Sequence[str]


class Level(StrEnum):
    """Whom a field describes. A company's values are shared by all people of its domain."""

    CONTACT = "contact"
    COMPANY = "company"


class Kind(StrEnum):
    """The type of a field's value."""

    TEXT = "text"
    EMAIL = "email"
    PHONE = "phone"
    URL = "url"
    DOMAIN = "domain"
    INTEGER = "integer"
    NUMBER = "number"
    TAGS = "tags"  # a list of short texts


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of the catalogue. ``group`` is what plans name; a group is wanted or not as a whole."""

    name: str
    level: Level
    kind: Kind
    group: str


def _catalogue(*specs: FieldSpec) -> Mapping[str, FieldSpec]:
    return MappingProxyType({spec.name: spec for spec in specs})


_CONTACT, _COMPANY = Level.CONTACT, Level.COMPANY

FIELDS = _catalogue(
    FieldSpec("email", _CONTACT, Kind.EMAIL, "contact"),
    FieldSpec("email_status", _CONTACT, Kind.TEXT, "verification"),
    FieldSpec("first_name", _CONTACT, Kind.TEXT, "contact"),
    FieldSpec("last_name", _CONTACT, Kind.TEXT, "contact"),
    FieldSpec("title", _CONTACT, Kind.TEXT, "contact"),
    FieldSpec("seniority", _CONTACT, Kind.TEXT, "contact"),
    FieldSpec("phone", _CONTACT, Kind.PHONE, "phone"),
    FieldSpec("city", _CONTACT, Kind.TEXT, "contact"),
    FieldSpec("state", _CONTACT, Kind.TEXT, "contact"),
    FieldSpec("country", _CONTACT, Kind.TEXT, "contact"),
    FieldSpec("linkedin_url", _CONTACT, Kind.URL, "social"),
    FieldSpec("twitter_url", _CONTACT, Kind.URL, "social"),
    FieldSpec("company_name", _COMPANY, Kind.TEXT, "company"),
    FieldSpec("company_domain", _COMPANY, Kind.DOMAIN, "company"),
    FieldSpec("industry", _COMPANY, Kind.TEXT, "company"),
    FieldSpec("employees", _COMPANY, Kind.INTEGER, "company"),
    FieldSpec("annual_revenue", _COMPANY, Kind.NUMBER, "company"),
    FieldSpec("company_phone", _COMPANY, Kind.PHONE, "company"),
    FieldSpec("founded_year", _COMPANY, Kind.INTEGER, "company"),
    FieldSpec("company_city", _COMPANY, Kind.TEXT, "company"),
    FieldSpec("company_state", _COMPANY, Kind.TEXT, "company"),
    FieldSpec("company_country", _COMPANY, Kind.TEXT, "company"),
    FieldSpec("company_linkedin_url", _COMPANY, Kind.URL, "social"),
    FieldSpec("tech_stack", _COMPANY, Kind.TAGS, "tech_stack"),
)
"""Every field by name. The warehouse has one column for each; a test keeps both in step."""

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        group: tuple(spec.name for spec in FIELDS.values() if spec.group == group)
        for group in dict.fromkeys(spec.group for spec in FIELDS.values())
    }
)
"""Field names by group, in catalogue order."""

NEVER_VALUES = frozenset({"", "n/a", "na", "none", "null", "unknown", "-", "--", "tbd", "[not provided]"})
"""Texts that forms and vendors send in place of nothing (lower case)."""


@dataclass(frozen=True, slots=True)
class FieldValue:
    """The value of one field of one subject, with its provenance. A row of the field ledger."""

    field: str
    value: Value
    provider: str  # "apollo", or the CRM's name when the value was there before
    subject_key: str  # "email:…" or "domain:…"
    fetched_at: datetime
    confidence: float = 1.0  # 0..1, the provider's own or the adapter's estimate
    verified_at: datetime | None = None
    expires_at: datetime | None = None
    cost_micros: int = 0  # millionths of a US dollar; a call's cost stands on the first value that it brought
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class RejectedValue:
    """A value that a provider sent and that is not stored as data: kept in quarantine with the reason."""

    field: str
    raw: str  # the value as text, cut to a sensible length
    provider: str
    reason: str
