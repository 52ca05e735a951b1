"""Salesforce record ids: 15 characters that tell upper from lower case, or 18 with a check suffix that does not.

Source: Salesforce help, "Convert a 15-character ID to 18 characters": each suffix character names, as a number of five
bits, the upper-case letters among five characters of the id.
"""

from __future__ import annotations

import re

_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Z0-5]{3})?")
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_SHORT = 15
_GROUP = 5


def long_id(value: str) -> str | None:
    """Return the id with 18 characters, or None where the text has not the form of an id.

    A suffix that came along is not checked: the CRM itself decides whether such a record exists.
    """
    if not _ID.fullmatch(value):
        return None
    return value if len(value) > _SHORT else value + suffix(value)


def suffix(short: str) -> str:
    """Return the three check characters of a 15-character id."""
    groups = [short[start : start + _GROUP] for start in range(0, _SHORT, _GROUP)]
    return "".join(_SUFFIX[sum(1 << place for place, c in enumerate(group) if c.isupper())] for group in groups)
