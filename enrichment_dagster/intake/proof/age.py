"""The age of a signed request: a copy of an old one is refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from enrichment_dagster.errors import SignatureError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(r"[0-9]{1,15}")
_MICROSECOND = timedelta(microseconds=1)


def check_age(timestamp: str, unit: timedelta, tolerance: timedelta, now: datetime) -> None:
    """Check a timestamp of whole units since 1970. None of the vendors documents that the future is refused: it is.

    Raises:
        SignatureError: ``bad_timestamp``, ``stale`` or ``future``.
    """
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureError("bad_timestamp", "the timestamp is not a number since 1970")
    # In integers: a timestamp may be any number, a datetime not.
    age = (now - _EPOCH) // _MICROSECOND - int(timestamp) * (unit // _MICROSECOND)
    limit = tolerance // _MICROSECOND
    if age > limit:
        raise SignatureError("stale", f"signed more than {tolerance.total_seconds():.0f} s ago")
    if age < -limit:
        raise SignatureError("future", f"signed more than {tolerance.total_seconds():.0f} s in the future")
