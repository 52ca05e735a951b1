"""Keys that make repeated work harmless: of events (dedup), of answers (subject), of effects (idempotency)."""

from __future__ import annotations

import hashlib
import re

COMPANY_PREFIX = "domain:"
"""Begins the subject key of a company."""

_EVENT_ID_HEX_DIGITS = 24  # 96 bits: no collision to be expected below 10^13 events


def _digest(*parts: str) -> str:
    """Return a hash of the parts; the separator can't occur in a part's length prefix, so no two lists collide."""
    joined = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(joined.encode()).hexdigest()


def dedup_key(source: str, *parts: str | int) -> str:
    """Return the key that two deliveries of one fact share: source, shard and the sender's identifying parts."""
    return _digest(source, *map(str, parts))


def event_id(dedup: str) -> str:
    """Return our id of the event with this dedup key: stable over redeliveries, short enough to type."""
    return f"evt_{dedup[:_EVENT_ID_HEX_DIGITS]}"


def email_subject(email: str) -> str:
    """Return the subject key of a person known by e-mail: lower case, no ``+tag`` (for matching only, never shown)."""
    local, _, domain = email.strip().lower().partition("@")
    return f"email:{local.partition('+')[0]}@{domain}"


def domain_subject(domain: str) -> str:
    """Return the subject key of a company known by its registrable domain."""
    return f"{COMPANY_PREFIX}{domain.strip().lower()}"


def person_subject(first_name: str, last_name: str, company: str) -> str:
    """Return the subject key of a person known by name, for lookups by name: ``person:jane.doe@acme.com``.

    ``company`` is the registrable domain or, where none is known, the company's name as it is compared
    (``normalise.comparable_company``). Case, spaces and marks make no difference in a name; people of different names
    or companies never share a key.
    """
    first, last = _word(first_name), _word(last_name)
    return f"person:{first}.{last}@{' '.join(company.lower().split())}"


def _word(name: str) -> str:
    """Return a name in lower case with a hyphen for all that is no letter or digit, so that no dot or @ is left."""
    return re.sub(r"[\W_]+", "-", name.lower()).strip("-")


def text_hash(text: str) -> str:
    """Return a short name of a text, without regard to case: addresses and numbers are compared by it."""
    return _digest(text.strip().lower())[:24]


def idempotency_key(*parts: str | int) -> str:
    """Return the key of one effect (a write-back, a follow-up): the same effect has the same key in every process."""
    return _digest(*(str(part) for part in parts))[:40]
