"""A fact in our own words: the flat object that generic senders carry, and tables and flows are asked to post.

``{"event_type": "lead_created", "source_system": "hubspot", "source_id": "123", "email": ..., "timestamp": ...}``
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.triggers import LEAD_CREATED
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.crm_record import crm_record
from enrichment_dagster.intake.elements import Element, number, text, texts
from enrichment_dagster.intake.moments import iso_moment, to_milliseconds
from enrichment_dagster.intake.subjects import (
    account_by_domain,
    clean_domain,
    clean_email,
    clean_phone,
    person_by_email,
    person_by_phone,
)

_ALIASES: Mapping[str, str] = MappingProxyType({"contact_created": LEAD_CREATED, "contact_creation": LEAD_CREATED})
_MAX_TYPE = 60
_MAX_EMAIL = 320
_SAID = MappingProxyType(
    {
        name: name
        for name in (
            "company", "first_name", "last_name", "lead_source", "stage", "company_id", "association", "page", "url",
            "visitor", "topic", "level", "problem", "bad_field", "detail",
        )
    }
)  # fmt: skip


def our_type(name: str) -> str:
    """Return our name of an event type that a sender names otherwise."""
    return _ALIASES.get(name, name)


def sent_type(element: Element, default: str = "") -> str:
    """Return the event type that a body names, in our words.

    Raises:
        PayloadError: ``missing_type``.
    """
    name = text(element, "event_type", _MAX_TYPE) or default
    if not name:
        raise PayloadError("missing_type", "event_type is missing")
    return our_type(name)


def said(element: Element) -> dict[str, Any]:
    """Return what a body says of the subject, under the names that the engine reads."""
    bad = texts(element, bad_value="bad_value").get("bad_value", "")
    cleaned = clean_phone(bad) if text(element, "bad_field") == "phone" else clean_email(bad)
    return {
        **texts(element, **_SAID),
        "email": text(element, "email", _MAX_EMAIL),
        "domain": clean_domain(text(element, "domain") or text(element, "company_domain")),
        "phone": text(element, "phone"),
        "score": number(element, "score"),
        "bad_value": cleaned or bad,
    }


def subject_of(element: Element, attributes: Mapping[str, Any]) -> RecordRef:
    """Return the record that a body names, else the person or the account that it describes.

    Raises:
        PayloadError: ``bad_record_id``; ``no_subject``: nobody is named.
    """
    record = crm_record(element)
    if record is not None:
        return record
    if attributes.get("email") and (person := person_by_email(attributes["email"])):
        return person
    if phone := clean_phone(attributes.get("phone") or ""):
        return person_by_phone(phone)
    if attributes.get("domain"):
        return account_by_domain(attributes["domain"])
    raise PayloadError("no_subject", "source_id, email, phone or domain is needed")


def happened(element: Element, name: str, event_type: str, now: datetime) -> tuple[datetime, str | int]:
    """Return when it happened, and what that adds to a fact's identity.

    Where the body does not say: now. A record is created once, so that nothing is added; anything else is taken for
    the same fact for the rest of the day.

    Raises:
        PayloadError: ``bad_occurred_at``.
    """
    if element.get(name) not in (None, ""):
        moment = iso_moment(element, name)
        return moment, to_milliseconds(moment)
    return now, "" if event_type == LEAD_CREATED else f"{now:%Y-%m-%d}"
