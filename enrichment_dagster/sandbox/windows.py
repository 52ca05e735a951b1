"""Fixed rate windows, as Apollo, Clearbit and HubSpot count them."""

from time import monotonic


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
