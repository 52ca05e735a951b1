"""Reading a batch element by element: a bad one is kept with its reason, the good ones go on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from enrichment_dagster.domain.event import Event
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.sender import Parsed
from enrichment_dagster.ports import KeptBody

MAX_ELEMENTS = 5_000  # HubSpot documents 100; more than this is no batch of events, it is kept as a whole
_MAX_TEXT = 200  # what the journal's columns hold
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[1-9][0-9]{0,39}")
_MILLISECONDS = re.compile(r"[0-9]{1,14}")
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
    return _UNSTORABLE.sub("", value).strip()[:limit] if isinstance(value, str) else ""


def exact_id(element: Element, name: str) -> str | None:
    """Return a numeric id of any size as exact text, or None where there is no such id (a float is none)."""
    value = element.get(name)
    digits = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return digits if isinstance(digits, str) and _ID.fullmatch(digits) else None


def epoch_milliseconds(element: Element, name: str) -> datetime:
    """Return a moment given in milliseconds since 1970, as a number or its digits.

    Raises:
        PayloadError: ``bad_occurred_at``: no such number, or outside 2000..2100.
    """
    value = element.get(name)
    digits = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(digits, str) or not _MILLISECONDS.fullmatch(digits):
        raise _bad_moment(name)
    return _plausible(_EPOCH + timedelta(milliseconds=int(digits)), name)


def iso_moment(element: Element, name: str) -> datetime:
    """Return an ISO 8601 moment in UTC; one without a time zone is no moment.

    Raises:
        PayloadError: ``bad_occurred_at``: no such moment, or outside 2000..2100.
    """
    try:
        moment = datetime.fromisoformat(text(element, name))
        if moment.tzinfo is None:
            raise _bad_moment(name)
        return _plausible(moment.astimezone(UTC), name)
    except (ValueError, OverflowError) as error:
        raise _bad_moment(name) from error


def _plausible(moment: datetime, name: str) -> datetime:
    if not _EARLIEST <= moment < _LATEST:
        raise _bad_moment(name)
    return moment


def to_milliseconds(moment: datetime) -> int:
    """Return whole milliseconds since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _bad_moment(name: str) -> PayloadError:
    return PayloadError("bad_occurred_at", f"{name} is not a moment between 2000 and 2100 in the documented form")
