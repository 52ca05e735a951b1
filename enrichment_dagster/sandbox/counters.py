"""Counts what was asked of the sandbox, so that a test can prove that nothing was bought twice."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any


class Counters:
    """Calls per endpoint, key, status, fault and subject, what they would have cost, and calls back to us."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._calls: Counter[str] = Counter()
        self._keys: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._statuses: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._faults: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._subjects: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._billed: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._callbacks: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._in_flight = 0
        self._most_in_flight = 0

    def begin(self, endpoint: str, key: str, subjects: Iterable[str]) -> None:
        """A call has arrived."""
        self._calls[endpoint] += 1
        self._keys[endpoint][key] += 1
        counts = self._subjects[endpoint]
        for subject in subjects:
            counts[subject] += 1
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)

    def end(self, endpoint: str, status: int, fault: str | None) -> None:
        """A call has been answered."""
        self._statuses[endpoint][str(status)] += 1
        if fault:
            self._faults[endpoint][fault] += 1
        self._in_flight = max(0, self._in_flight - 1)

    def bill(self, endpoint: str, subjects: Iterable[str]) -> None:
        """The vendor charges for these subjects; each counts once, whatever its price in credits."""
        self._billed[endpoint].update(subjects)

    def billed(self, endpoint: str) -> int:
        """How many times something was charged under this name."""
        return self._billed.get(endpoint, Counter()).total()

    def callback(self, name: str, outcome: str) -> None:
        """A callback ended: delivered, refused, failed, dropped (too many wait) or not_loopback (never sent)."""
        self._callbacks[name][outcome] += 1

    def times_asked(self, endpoint: str, subject: str) -> int:
        """How many calls about this subject have arrived."""
        return self._subjects[endpoint][subject]

    def calls(self, endpoint: str) -> int:
        """How many calls of this endpoint have arrived."""
        return self._calls[endpoint]

    def as_data(self) -> dict[str, Any]:
        """Everything counted, for JSON."""
        billed = {name: counts.total() for name, counts in self._billed.items()}
        return {
            "total": self._calls.total(),
            "billed_total": sum(billed.values()),
            "most_in_flight": self._most_in_flight,
            "calls": dict(self._calls),
            "billed": billed,
            "keys": _plain(self._keys),
            "statuses": _plain(self._statuses),
            "faults": _plain(self._faults),
            "subjects": _plain(self._subjects),
            "billed_subjects": _plain(self._billed),
            "callbacks": _plain(self._callbacks),
        }


def _plain(counts: Mapping[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {name: dict(counter) for name, counter in counts.items()}
