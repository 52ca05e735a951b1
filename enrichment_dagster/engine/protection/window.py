"""Calls and failures of the last minutes, in a dozen buckets of time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

from enrichment_dagster.engine.protection.codec import all_counts, all_seconds

BUCKETS = 12


@dataclass(frozen=True, slots=True)
class Window:
    """Buckets (begin, calls, failures), the oldest first.

    A bucket begins with its first call and is forgotten a window after that: no call counts longer than the window, and
    none less than eleven twelfths of it.
    """

    buckets: tuple[tuple[float, int, int], ...] = ()

    def add(self, *, failed: bool, now: float, window_seconds: float) -> Window:
        """Return the window with one more call."""
        kept = self._kept(now, window_seconds)
        if kept and now - kept[-1][0] < window_seconds / BUCKETS:
            begin, calls, failures = kept[-1]
            return Window((*kept[:-1], (begin, calls + 1, failures + failed)))
        return Window((*kept, (now, 1, int(failed))))

    def totals(self, now: float, window_seconds: float) -> tuple[int, int]:
        """Return how many calls there were, and how many of them failed."""
        calls = failures = 0
        for _, bucket_calls, bucket_failures in self._kept(now, window_seconds):
            calls += bucket_calls
            failures += bucket_failures
        return calls, failures

    def shifted(self, by: float) -> Window:
        """Return the window with all times moved."""
        return Window(tuple((begin + by, calls, failures) for begin, calls, failures in self.buckets))

    def to_json(self) -> list[float]:
        """Return all buckets in one flat list."""
        return list(chain.from_iterable(self.buckets))

    @classmethod
    def from_json(cls, raw: list[Any]) -> Window:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError, TypeError: it is something else.
        """
        begins, calls, failures = all_seconds(raw[::3]), all_counts(raw[1::3]), all_counts(raw[2::3])
        return cls(tuple(zip(begins, calls, failures, strict=True)))

    def _kept(self, now: float, window_seconds: float) -> tuple[tuple[float, int, int], ...]:
        oldest = now - window_seconds
        if not self.buckets or self.buckets[0][0] > oldest:
            return self.buckets
        return tuple(bucket for bucket in self.buckets if bucket[0] > oldest)


EMPTY = Window()
