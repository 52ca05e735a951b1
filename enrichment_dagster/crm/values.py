"""One value as a CRM stores it, and whether two of them are the same for the CRM."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from enrichment_dagster.domain.fields import NEVER_VALUES, Entry

MAX_LIST_TEXT = 10_000
"""The longest text of a list of entries, in characters: a long text area of either CRM takes it."""

_MORE = "\u2026"  # stands last where a list of entries was cut
_SEPARATOR = ";"  # between the choices of a multi-select, in HubSpot and in Salesforce
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(E[0-9]+)?", re.IGNORECASE)  # neither a phone number nor "01234"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_EPOCH_MS = re.compile(r"\d{12,13}")


def is_blank(value: Any) -> bool:
    """Say whether a property is empty: nothing, blank, or a text that stands for nothing ("[not provided]")."""
    if isinstance(value, str):
        return value.strip().lower() in NEVER_VALUES
    return value is None or (isinstance(value, list | tuple) and not value)


def for_salesforce(value: Any) -> str | int | float | bool | None:
    """Return a value as Salesforce's JSON wants it: typed, lists joined by ``;``, moments in ISO 8601.

    Source: REST API Developer Guide (a number sent as text is refused with JSON_PARSER_ERROR).
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    return _text(value)


def for_hubspot(value: Any) -> str:
    """Return a value as HubSpot keeps it: always text; an empty text clears the property.

    Source: HubSpot CRM v3 OpenAPI (``properties`` maps names to strings).
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else repr(value)
    return str(value) if isinstance(value, int) else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        return _SEPARATOR.join(_text(part) for part in value)
    return str(value)


def entries_text(entries: Iterable[Entry], keys: Sequence[str]) -> str:
    """Return a list of entries as one text of their first two keys: ``Ada Lovelace, CTO; Bob Byte, CFO``.

    Semicolons stand between entries only, and entries that look the same are named once. A list that is longer than
    ``MAX_LIST_TEXT`` is cut after a whole entry and says so at its end.
    """
    lines = (", ".join(str(entry[key]) for key in keys[:2] if key in entry) for entry in entries)
    text = ""
    for line in dict.fromkeys(line.replace(_SEPARATOR, ",") for line in lines):
        longer = f"{text}{_SEPARATOR} {line}" if text else line
        if len(longer) > MAX_LIST_TEXT - len(f"{_SEPARATOR} {_MORE}"):
            return f"{text}{_SEPARATOR} {_MORE}"
        text = longer
    return text


def read_entries(text: str, keys: Sequence[str]) -> list[Entry] | None:
    """Return the entries that a CRM's text names; None where it was cut, for it would hide the whole list.

    A name with a comma in it comes back in other pieces, which make the same text again.
    """
    parts = [part.strip() for part in text.split(_SEPARATOR) if part.strip()]
    if not parts or parts[-1] == _MORE:
        return None
    return [_entry(part, *keys[:2]) for part in parts]


def _entry(text: str, first: str, second: str) -> Entry:
    if second == "url":  # a headline may have commas, its address has none
        head, _, rest = text.rpartition(", ")
        rest = rest if rest.startswith("http") else ""
    else:  # a title may have commas, a person's name has none
        head, _, rest = text.partition(", ")
    parted = head and rest and not head.endswith(" ")  # " , " stood in the text itself
    return {first: head, second: rest} if parted else {first: text}


def iso(moment: datetime) -> str:
    """Return the moment in UTC to the second: finer parts do not survive a CRM (Salesforce drops them)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def same(stored: Any, ours: Any) -> bool:
    """Say whether writing ours over what is stored would change nothing."""
    left, right = for_hubspot(stored).strip(), for_hubspot(ours).strip()
    return left == right or _canonical(left, right) == _canonical(right, left)


def _canonical(text: str, other: str) -> Any:
    """Return a form in which equal values are equal; ``other`` settles what digits mean."""
    if _NUMBER.fullmatch(text) and _NUMBER.fullmatch(other):
        return float(text)
    if (moment := _moment(text, other)) is not None:
        return moment
    if _SEPARATOR in text:
        return frozenset(part.strip() for part in text.split(_SEPARATOR) if part.strip())
    return text


def _moment(text: str, other: str) -> int | None:
    """Return the second that a text names; digits are HubSpot's milliseconds when the other side is a moment."""
    if _EPOCH_MS.fullmatch(text) and _MOMENT.fullmatch(other):
        return int(text) // 1_000
    if not _MOMENT.fullmatch(text):
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
