"""Moments in the forms that senders have, as UTC. What lies outside 2000..2100 is a unit mistaken, or an attack."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.elements import Element, text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_MILLISECOND, _SECOND = timedelta(milliseconds=1), timedelta(seconds=1)
_DIGITS = re.compile(r"[0-9]{1,14}")  # more of either unit would be no date any more


def epoch_milliseconds(element: Element, name: str) -> datetime:
    """Return a moment given in milliseconds since 1970, as a number or its digits.

    Raises:
        PayloadError: ``bad_occurred_at``: no such number, or outside 2000..2100.
    """
    return _since_1970(element, name, _MILLISECOND)


def epoch_seconds(element: Element, name: str) -> datetime:
    """Return a moment given in whole seconds since 1970, as a number or its digits.

    Raises:
        PayloadError: ``bad_occurred_at``: no such number, or outside 2000..2100.
    """
    return _since_1970(element, name, _SECOND)


def _since_1970(element: Element, name: str, unit: timedelta) -> datetime:
    value = element.get(name)
    digits = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(digits, str) or not _DIGITS.fullmatch(digits):
        raise _bad_moment(name)
    try:
        return plausible(_EPOCH + unit * int(digits), name)
    except OverflowError as error:
        raise _bad_moment(name) from error


def iso_moment(element: Element, name: str) -> datetime:
    """Return an ISO 8601 moment in UTC; one without a time zone is no moment.

    Raises:
        PayloadError: ``bad_occurred_at``: no such moment, or outside 2000..2100.
    """
    try:
        moment = datetime.fromisoformat(text(element, name))
        if moment.tzinfo is None:
            raise _bad_moment(name)
        return plausible(moment.astimezone(UTC), name)
    except (ValueError, OverflowError) as error:
        raise _bad_moment(name) from error


def mail_moment(element: Element, name: str) -> datetime:
    """Return a moment in the form of mail headers (RFC 2822) in UTC; one without a time zone is taken for UTC.

    Raises:
        PayloadError: ``bad_occurred_at``: no such moment, or outside 2000..2100.
    """
    try:
        moment = parsedate_to_datetime(text(element, name))
        return plausible(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC), name)
    except (ValueError, OverflowError) as error:
        raise _bad_moment(name) from error


def plausible(moment: datetime, name: str) -> datetime:
    """Return the moment.

    Raises:
        PayloadError: ``bad_occurred_at``: outside 2000..2100.
    """
    if not _EARLIEST <= moment < _LATEST:
        raise _bad_moment(name)
    return moment


def to_milliseconds(moment: datetime) -> int:
    """Return whole milliseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MILLISECOND


def _bad_moment(name: str) -> PayloadError:
    return PayloadError("bad_occurred_at", f"{name} is not a moment between 2000 and 2100 in the documented form")
