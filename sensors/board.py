"""What the ticks of all lanes share: one look at the inbox and at the runs, and the right to decide on the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from enrichment_dagster.clock import Clock
from enrichment_dagster.ports import DispatchPort, Glance

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunCounts:
    """Batch runs of all lanes together."""

    live: int  # queued, starting or running
    last_minute: int  # created in the last minute, whatever became of them


@dataclass(slots=True)
class _Seen(Generic[T]):
    """The newest of what somebody saw, for those who do not need to look themselves."""

    clock: Clock
    value: T | None = None
    at: float = float("-inf")

    def get(self, look: Callable[[], T], max_age: float) -> T:
        now = self.clock.monotonic()
        if self.value is None or now - self.at >= max_age:
            self.value, self.at = look(), now
        return self.value


class Board:
    """Of one process: a code server answers the ticks of all lanes, in threads of its own.

    Waiting ticks look at the same inbox many times a second; who comes first looks for all. Runs are shared as well:
    ``deciding`` is held from a lane's look at the runs to its new batch, so that two lanes never take the same slot.
    """

    def __init__(self, store: DispatchPort, event_types: Sequence[str], clock: Clock) -> None:
        self.deciding = Lock()
        self._event_types = tuple(event_types)
        self._store = store
        self._clock = clock
        self._inbox: _Seen[Glance] = _Seen(clock)
        self._runs: _Seen[RunCounts] = _Seen(clock)
        self._looking, self._counting = Lock(), Lock()
        self._asked_at = float("-inf")

    def inbox(self, max_age: float) -> Glance:
        """Return a look at the inbox that is younger than this, in seconds."""
        with self._looking:
            return self._inbox.get(lambda: self._store.glance(self._event_types), max_age)

    def pump(self) -> None:
        """Turn into work what was received."""
        with self._looking:
            self._store.pump()
            self._inbox = _Seen(self._clock)

    def runs(self, count: Callable[[], RunCounts], max_age: float) -> RunCounts:
        """Return counts that are younger than this, in seconds; ``count`` asks Dagster's database."""
        with self._counting:
            return self._runs.get(count, max_age)

    def is_first_in(self, seconds: float) -> bool:
        """Say whether nobody has asked for so long: for what one lane does for all."""
        with self._looking:
            now = self._clock.monotonic()
            first = now - self._asked_at >= seconds
            self._asked_at = now if first else self._asked_at
            return first
