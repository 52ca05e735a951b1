"""Fixed rate windows, as Apollo, Clearbit and HubSpot count them."""

from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True, slots=True)
class Allowance:
    """How far a key has got in the present window of a limit that is enforced: what a vendor's headers tell."""

    limit: int
    used: int
    seconds: float
    seconds_left: float

    @property
    def left(self) -> int:
        """How many calls the window still takes."""
        return max(0, self.limit - self.used)

    @property
    def per_minute(self) -> int:
        """The limit, as calls in a minute."""
        return round(self.limit * 60 / self.seconds)


class FixedWindow:
    """Counts per key in windows of fixed length."""

    __slots__ = ("_number", "_used", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._number = -1
        self._used: dict[str, int] = {}

    def used(self, key: str) -> int:
        """How many calls this key has made in the present window."""
        self._turn()
        return self._used.get(key, 0)

    def add(self, key: str) -> int:
        """Count one call; returns the number in the present window."""
        self._turn()
        used = self._used.get(key, 0) + 1
        self._used[key] = used
        return used

    def seconds_left(self) -> float:
        """Until the next window begins."""
        return self.seconds - monotonic() % self.seconds

    def _turn(self) -> None:
        number = int(monotonic() / self.seconds)
        if number != self._number:
            self._number = number
            self._used = {}
