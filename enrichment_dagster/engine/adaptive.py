"""How many things may be under way at once, where that depends on how fast they go."""

from __future__ import annotations

from enrichment_dagster.clock import Clock

_DECREASE = 0.7


class AdaptiveLimit:
    """Finds out how many are good, as TCP does: additive increase, multiplicative decrease.

    Where things become slow, fewer are allowed. Where they are quick there is one more with each of them, as far as it
    is needed; what was needed once and is no more is taken back, or the next rush would find more room than is good.
    """

    def __init__(self, clock: Clock, *, least: int, usual: int, most: int, slow_seconds: float) -> None:
        self._clock = clock
        self._most = most
        self._usual = min(most, usual)
        self._least = min(most, least)
        self._slow_seconds = slow_seconds
        self._decreased_at = float("-inf")
        self.value = float(self._usual)
        """How many at present."""

    def felt(self, seconds: float, in_use: int) -> None:
        """Say how long something took that tells how busy we are, and how many are under way."""
        now = self._clock.monotonic()
        if seconds <= self._slow_seconds:
            if self.value < self._usual or in_use >= self.value / 2:
                self.value = min(self._most, self.value + 1)
            else:
                self.value = max(self._usual, self.value - 1)
        elif now - self._decreased_at >= seconds:  # what was begun before the last decrease says nothing new
            self._decreased_at = now
            self.value = max(self._least, min(self.value, in_use) * _DECREASE)
