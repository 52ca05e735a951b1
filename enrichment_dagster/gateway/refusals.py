"""Logging refusals without letting a stranger fill the disk: one line per sender, reason and minute, with a count."""

from __future__ import annotations

from collections import Counter

import structlog

from enrichment_dagster.clock import Clock

_EVERY_SECONDS = 60.0

_log = structlog.get_logger(__name__)


class RefusalLog:
    """Says that requests or elements are not accepted, and how many have been since it last said so."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unsaid: Counter[tuple[str, str]] = Counter()
        self._said_at: dict[tuple[str, str], float] = {}

    def note(self, sender: str, reason: str, detail: str) -> None:
        """Count one and log it if its kind was not logged within the last minute."""
        kind, now = (sender, reason), self._clock.monotonic()
        self._unsaid[kind] += 1
        if now - self._said_at.get(kind, -_EVERY_SECONDS) < _EVERY_SECONDS:
            return
        self._said_at[kind] = now
        _log.warning("not accepted", sender=sender, reason=reason, detail=detail, times=self._unsaid.pop(kind))
