"""When a vendor wants to be asked again: ``Retry-After`` (RFC 9110, 10.2.3), or when its limit begins anew."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_SECONDS = 86_400.0  # HubSpot's account migration asks for up to a day


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds to wait, at most a day; None where the header is missing or can't be read.

    It holds seconds or an HTTP date.
    """
    if not value:
        return None
    seconds = _seconds(value.strip())
    if seconds is None:
        seconds = _until(value.strip(), now)
    if seconds is None or not math.isfinite(seconds):
        return None
    return _bounded(seconds)


def _seconds(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _until(value: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return _left(moment, now)


def _left(moment: datetime, now: datetime) -> float:
    """Return the seconds until a moment, which is UTC where it does not say so ("-0000" in an HTTP date)."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_SECONDS)


def parse_reset(value: str | None, now: datetime) -> float | None:
    """Return the seconds until a rate limit begins anew (``X-RateLimit-Reset``), at most a day.

    Only a written-out time (ISO 8601) is read: of a bare number nobody can tell what it counts from.
    """
    if not value or "-" not in value:
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return _bounded(_left(moment, now))
