"""The time of a lookup that makes several calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_LEAST_SECONDS = 0.001  # a call without any time left ends at once as timed out


class Patience:
    """Counts down from the start of the lookup; ``now`` is the clock of the running event loop if none is given."""

    def __init__(self, seconds: float, now: Callable[[], float] | None = None) -> None:
        self._now = now or asyncio.get_running_loop().time
        self._end = self._now() + seconds

    @property
    def seconds(self) -> float:
        """Return what is left for the next call."""
        return max(self._end - self._now(), _LEAST_SECONDS)
