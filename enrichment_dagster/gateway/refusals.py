"""Counting refusals, and logging them without filling the disk: one line per sender, reason and minute, with a count.

Nor the processor: where nothing can be stored, to write each failure's traceback would take all that is left of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from threading import Lock

import structlog

from enrichment_dagster.clock import Clock

_EVERY_SECONDS = 60.0

_log = structlog.get_logger(__name__)


class RefusalCounts:
    """How many requests each sender had refused at the door since this process began, by reason."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._news: set[str] = set()
        self._lock = Lock()

    def add(self, sender: str, reason: str) -> None:
        """Count one."""
        with self._lock:
            self._counts[sender][reason] += 1
            self._news.add(sender)

    def take(self) -> Mapping[str, Mapping[str, int]]:
        """Return the counts of those senders that had one refused since the last call."""
        with self._lock:
            news, self._news = self._news, set()
            return {sender: dict(self._counts[sender]) for sender in sorted(news)}


class RefusalLog:
    """Says that requests or elements were not accepted, and how many have been since it last said so."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unsaid: Counter[tuple[str, str]] = Counter()
        self._said_at: dict[tuple[str, str], float] = {}

    def note(self, sender: str, reason: str, detail: str) -> None:
        """Count one and log it if its kind was not logged within the last minute."""
        if times := self._times(sender, reason):
            _log.warning("not accepted", sender=sender, reason=reason, detail=detail, times=times)

    def failed(self, sender: str, what: str) -> None:
        """Count one that failed by a fault of ours; called while its exception is handled, which is logged."""
        if times := self._times(sender, what):
            _log.exception(what, sender=sender, times=times)

    def _times(self, sender: str, reason: str) -> int:
        """Count one; returns how many are to be told of, 0 where it is too soon."""
        kind, now = (sender, reason), self._clock.monotonic()
        self._unsaid[kind] += 1
        if now - self._said_at.get(kind, -_EVERY_SECONDS) < _EVERY_SECONDS:
            return 0
        self._said_at[kind] = now
        return self._unsaid.pop(kind)
