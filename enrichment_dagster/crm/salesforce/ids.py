"""Salesforce's names and ids, checked before they enter a query or a path.

15 characters are case-sensitive; 18 are the same with a checksum of the letters' case. The first 15 name the record.
"""

from __future__ import annotations

import re

_ID = re.compile(r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def is_id(text: str) -> bool:
    """Say whether a text may be a record id."""
    return _ID.fullmatch(text) is not None


def is_field(name: str) -> bool:
    """Say whether a text may be a field's name."""
    return _FIELD.fullmatch(name) is not None


def short_id(record_id: str) -> str:
    """Return what the 15- and the 18-character form of an id have in common."""
    return record_id[:15]
