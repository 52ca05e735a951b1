"""When a failed call is made again: one place, pure, cut by the deadline.

WHAT is repeated is not decided here but where an error is made, and travels with it as ``transient``: by its status in
``http/statuses.py`` (no 4xx but 408, 423, 425, 429 and HubSpot's 477; every 5xx but 501), or, where there was no reply,
by the exception in ``http/failures.py``. A vendor's adapter may know better.
"""

from __future__ import annotations

from dataclasses import dataclass

from enrichment_dagster.errors import RemoteError

_MAX_RETRY_AFTER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a call is repeated."""

    attempts: int
    first_delay_seconds: float
    max_delay_seconds: float

    def delay(self, *, failures: int, error: RemoteError, remaining_seconds: float, jitter: float) -> float | None:
        """Return how long to wait before the next attempt, or None for no further one.

        ``failures`` counts those so far, ``jitter`` is a random number in 0..1. Terminal errors are never repeated.
        What the vendor asks for (Retry-After) is honoured up to a cap; a wait that would outlast the deadline is
        no use.
        """
        if not error.transient or failures >= self.attempts:
            return None
        backoff = min(self.max_delay_seconds, self.first_delay_seconds * 2 ** (failures - 1))
        delay = backoff * (0.5 + jitter / 2)
        if error.retry_after_seconds is not None:
            delay = max(delay, min(error.retry_after_seconds, _MAX_RETRY_AFTER_SECONDS))
        return delay if delay < remaining_seconds else None


def backoff_seconds(tries: int, *, first: float, longest: float, jitter: float) -> float:
    """Return the wait before a durable retry (a delivery, a deferral): it doubles, up to ``longest``."""
    exponent = min(tries, 30)
    return float(min(longest, first * 2**exponent) * (0.75 + jitter / 2))
