"""Reading a batch element by element: a bad one is kept with its reason, the good ones go on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from enrichment_dagster.domain.event import Event
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.sender import Parsed
from enrichment_dagster.ports import KeptBody

MAX_ELEMENTS = 5_000  # HubSpot documents 100; more than this is no batch of events, it is kept as a whole
_MAX_TEXT = 200  # what the journal's columns hold
_ID = re.compile(r"[1-9][0-9]{0,39}")
_TOO_BIG = 10**40
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_MAX_NUMBER = 1e15
_MAX_VALUE = 5_000  # of one property; what is compared with it is never longer
_UNSTORABLE_VALUE = re.compile("[\x00\ud800-\udfff]")
_UNSTORABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # control characters and half of a surrogate pair

Element = Mapping[str, Any]


def read_elements(source: str, batch: list[Any], now: datetime, read: Callable[[Element, datetime], Event]) -> Parsed:
    """Read every element; ``read`` raises PayloadError for one that is bad.

    Raises:
        PayloadError: there are too many elements.
    """
    if len(batch) > MAX_ELEMENTS:
        raise PayloadError("too_many_events", f"{len(batch)} elements, at most {MAX_ELEMENTS} are read")
    parsed = Parsed()
    for index, element in enumerate(batch):
        try:
            parsed.events.append(read(_mapping(element), now))
        except PayloadError as error:
            body = json.dumps(element, separators=(",", ":")).encode()
            parsed.rejects.append(KeptBody(source, error.reason, f"element {index}: {error.detail}", body, now))
    return parsed


def _mapping(element: Any) -> Element:
    if not isinstance(element, dict):
        raise PayloadError("not_an_object", "an event must be a JSON object")
    return element


def text(element: Element, name: str, limit: int = _MAX_TEXT) -> str:
    """Return a text in storable form; empty where it is absent, blank or of another type."""
    value = element.get(name)
    if not isinstance(value, str):
        return ""
    # What is printable has nothing to be cleaned, and nearly everything is.
    return (value if value.isprintable() else _UNSTORABLE.sub("", value)).strip()[:limit]


def texts(element: Element, **names: str) -> dict[str, str]:
    """Return the texts that are there, under our names: ``texts(element, company="company_name")``."""
    found = {ours: text(element, theirs) for ours, theirs in names.items()}
    return {ours: value for ours, value in found.items() if value}


def whole_text(element: Element, name: str) -> str:
    """Return a text as it is, line breaks and blanks included, as far as a database takes it: for values of records."""
    value = element.get(name)
    return _UNSTORABLE_VALUE.sub("", value)[:_MAX_VALUE] if isinstance(value, str) else ""


def number(element: Element, name: str) -> float | None:
    """Return a number, given as such or as a text; None where there is none."""
    value = element.get(name)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) >= _MAX_NUMBER:
        return None
    return float(value)


def child(element: Element, name: str) -> Element:
    """Return an object inside an element; an empty one where there is none."""
    value = element.get(name)
    return value if isinstance(value, dict) else {}


def exact_id(element: Element, name: str) -> str | None:
    """Return a numeric id of any size as exact text, or None where there is no such id (a float is none)."""
    value = element.get(name)
    if type(value) is int:  # and not a bool
        return str(value) if 0 < value < _TOO_BIG else None
    return value if isinstance(value, str) and _ID.fullmatch(value) else None
