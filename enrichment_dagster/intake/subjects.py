"""Whom an event is about where no CRM record is named: a person or an account, by whom the CRM is asked later."""

from __future__ import annotations

from functools import lru_cache

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.normalise import (
    InvalidValueError,
    normalise_domain,
    normalise_email,
    normalise_phone,
    personal_reason,
)

_MAX_ID = 200  # what the journal's column holds


def person_by_email(email: str) -> RecordRef | None:
    """Return the person of an address; None where it is none that could be stored."""
    return RecordRef("person", "email", email.lower()) if "@" in email and len(email) <= _MAX_ID else None


def person_by_phone(phone: str) -> RecordRef:
    """Return the person of a number in E.164."""
    return RecordRef("person", "phone", phone)


def account_by_domain(domain: str) -> RecordRef:
    """Return the account of a registrable domain."""
    return RecordRef("account", "domain", domain)


def clean_email(raw: str) -> str:
    """Return the address as our fields have it, or as it came where it is none: a bad address is bad news too."""
    try:
        return normalise_email(raw)
    except InvalidValueError:
        return raw


@lru_cache(maxsize=20_000)
def clean_domain(raw: str) -> str:
    """Return the registrable domain of a host or URL; empty where there is none."""
    try:
        return normalise_domain(raw)[:_MAX_ID] if raw else ""
    except InvalidValueError:
        return ""


def clean_phone(raw: str) -> str:
    """Return a number with its country code in E.164; empty where it is none."""
    try:
        return normalise_phone(raw) if raw else ""
    except InvalidValueError:
        return ""


def company_domain(email: str) -> str:
    """Return the domain of the company that an address belongs to; empty for a mail host's."""
    return "" if not email or personal_reason(email) else clean_domain(email.rpartition("@")[2])
