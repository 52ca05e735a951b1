"""Salesforce record ids: 15 case-sensitive characters, or 18 with a checksum of the letter case.

The checksum: for each group of five characters, bit i says whether character i is an upper-case letter; the
five bits choose one of A-Z, 0-5.
"""

import re
from itertools import count

_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FIFTEEN = re.compile(r"[0-9A-Za-z]{15}")
_EIGHTEEN = re.compile(r"[0-9A-Za-z]{15}[A-Z0-5]{3}")
PREFIXES = {"Lead": "00Q5g00000", "Contact": "0035g00000", "Account": "0015g00000", "Opportunity": "0065g00000"}
"""What the ids of each kind of record begin with: the kind, the instance, zeros."""


def checksum(fifteen: str) -> str:
    """The three characters that make an 18-character id of a 15-character one."""
    groups = (fifteen[start : start + 5] for start in (0, 5, 10))
    return "".join(_SUFFIX[sum(1 << bit for bit, char in enumerate(group) if char.isupper())] for group in groups)


def normalise(record_id: str) -> str | None:
    """The 18-character form, or None when this is no id."""
    if _FIFTEEN.fullmatch(record_id):
        return record_id + checksum(record_id)
    if _EIGHTEEN.fullmatch(record_id) and checksum(record_id[:15]) == record_id[15:]:
        return record_id
    return None


class RecordIds:
    """Hands out new ids of one kind of record in order."""

    def __init__(self, sobject: str, first: int) -> None:
        self._prefix = PREFIXES[sobject]
        self._numbers = count(first)

    def __call__(self) -> str:
        """The next id, 18 characters."""
        number, tail = next(self._numbers), ""
        for _ in range(5):
            number, digit = divmod(number, 62)
            tail = _BASE62[digit] + tail
        fifteen = self._prefix + tail
        return fifteen + checksum(fifteen)
