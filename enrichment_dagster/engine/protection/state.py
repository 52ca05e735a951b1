"""All that is known of one provider, as one immutable value and as one JSON document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from enrichment_dagster.engine.protection.breaker import Breaker
from enrichment_dagster.engine.protection.codec import count, seconds
from enrichment_dagster.engine.protection.latency import Latencies, read_latencies
from enrichment_dagster.engine.protection.rate import Rate
from enrichment_dagster.engine.protection.switch import Switch

VERSION = 1

MAX_SKEW_SECONDS = 60.0
"""Clocks of several machines may differ by this much. A larger step back is a clock that was put right."""

_NO_BREAKER, _NO_SWITCH, _NO_RATE = Breaker(), Switch(), Rate()
_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class ProviderState:
    """What all processes know of a provider. Times are UTC epoch seconds."""

    seen_at: float = 0.0  # latest time at which anybody changed this state
    lifetime_calls: int = 0
    rate: Rate = _NO_RATE
    breaker: Breaker = _NO_BREAKER
    switch: Switch = _NO_SWITCH
    latencies: Latencies = ()

    def at(self, now: float) -> ProviderState:
        """Return the state as it is to be read at ``now``.

        After the clock was put back, pauses and open breakers would last until it has caught up, perhaps for days. So
        what was counted moves back with the clock, and what was waited for is taken to be over: how much of the wait
        has passed can't be known.
        """
        if self.seen_at - now <= MAX_SKEW_SECONDS:
            return self
        by = now - self.seen_at
        return ProviderState(
            now,
            self.lifetime_calls,
            self.rate.without_waits(),
            self.breaker.put_back(by, now),
            self.switch.put_back(by),
            self.latencies,
        )

    def to_json(self) -> dict[str, Any]:
        """Return a document for ``json.dumps``."""
        return {
            "v": VERSION,
            "at": self.seen_at,
            "calls": self.lifetime_calls,
            "rate": self.rate.to_json(),
            "breaker": self.breaker.to_json(),
            "switch": self.switch.to_json(),
            "ms": {purpose: list(counts) for purpose, counts in self.latencies},
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any] | None) -> ProviderState:
        """Read what ``to_json`` wrote.

        A part that is missing or can't be read starts afresh, and so do all parts of another version. Only the count
        for life is read from any: it can't be learned again.
        """
        if not isinstance(raw, Mapping):
            return cls()
        calls = _part(count, raw.get("calls"), 0)
        if raw.get("v") != VERSION:
            return cls(lifetime_calls=calls)
        return cls(
            _part(seconds, raw.get("at"), 0.0),
            calls,
            _part(Rate.from_json, raw.get("rate"), _NO_RATE),
            _part(Breaker.from_json, raw.get("breaker"), _NO_BREAKER),
            _part(Switch.from_json, raw.get("switch"), _NO_SWITCH),
            _part(read_latencies, raw.get("ms"), ()),
        )


def _part(read: Callable[[Any], _Part], raw: Any, fresh: _Part) -> _Part:
    if raw is None:
        return fresh
    try:
        return read(raw)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return fresh
