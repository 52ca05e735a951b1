"""The field catalogue: every field that can be wanted, bought, stored and written back, with its type and owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

Scalar = str | int | float | bool
Entry = Mapping[str, Scalar]
"""One entry of a list field: an executive, a news article. The keys of each such field are in ``ENTRIES``."""
Value = Scalar | Sequence[str] | Sequence[Entry]


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
    LONG_TEXT = "long_text"  # a paragraph or two
    ENTRIES = "entries"  # a list of small objects, see ``ENTRIES``


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
    FieldSpec("company_phone", _COMPANY, Kind.PHONE, "company"),
    FieldSpec("founded_year", _COMPANY, Kind.INTEGER, "company"),
    FieldSpec("company_city", _COMPANY, Kind.TEXT, "company"),
    FieldSpec("company_state", _COMPANY, Kind.TEXT, "company"),
    FieldSpec("company_country", _COMPANY, Kind.TEXT, "company"),
    FieldSpec("company_linkedin_url", _COMPANY, Kind.URL, "social"),
    FieldSpec("tech_stack", _COMPANY, Kind.TAGS, "tech_stack"),
    FieldSpec("annual_revenue", _COMPANY, Kind.NUMBER, "financials"),
    FieldSpec("total_funding", _COMPANY, Kind.NUMBER, "financials"),
    FieldSpec("funding_stage", _COMPANY, Kind.TEXT, "financials"),
    FieldSpec("employee_growth", _COMPANY, Kind.NUMBER, "growth"),
    FieldSpec("executives", _COMPANY, Kind.ENTRIES, "executives"),
    FieldSpec("account_contacts", _COMPANY, Kind.ENTRIES, "account_contacts"),
    FieldSpec("competitors", _COMPANY, Kind.TAGS, "competitors"),
    FieldSpec("news", _COMPANY, Kind.ENTRIES, "news"),
    FieldSpec("intent_score", _COMPANY, Kind.NUMBER, "intent"),
    FieldSpec("intent_topics", _COMPANY, Kind.TAGS, "intent"),
    FieldSpec("research_summary", _COMPANY, Kind.LONG_TEXT, "research"),
    FieldSpec("research_sources", _COMPANY, Kind.TAGS, "research"),
)
"""Every field by name. The warehouse has one column for each; a test keeps both in step."""

COMPANY_FIELDS = frozenset(name for name, spec in FIELDS.items() if spec.level is _COMPANY)
"""What describes a company, and not one of its people."""

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        group: tuple(spec.name for spec in FIELDS.values() if spec.group == group)
        for group in dict.fromkeys(spec.group for spec in FIELDS.values())
    }
)
"""Field names by group, in catalogue order."""

_PERSON_ENTRY = ("name", "title", "seniority", "email", "linkedin_url")
ENTRIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "executives": _PERSON_ENTRY,
        "account_contacts": _PERSON_ENTRY,
        "news": ("title", "url", "published_at", "category"),
    }
)
"""The keys that an entry of a list field may have. An entry needs the first one; the others may be absent."""

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
    precedence: int = 0  # 0 = the CRM record itself; then the lookup's place in the plan's order for the field
    stale: bool = False  # an expired value, served because the refresh failed


@dataclass(frozen=True, slots=True)
class RejectedValue:
    """A value that a provider sent and that is not stored as data: kept in quarantine with the reason."""

    field: str
    raw: str  # the value as text, cut to a sensible length
    provider: str
    reason: str
