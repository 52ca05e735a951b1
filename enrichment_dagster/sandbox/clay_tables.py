"""How much each Clay webhook has taken in its life."""

from collections import Counter


class ClayTables:
    """Counts rows per table. A webhook takes so many in its life, and clearing its table does not help."""

    def __init__(self, lifetime: int) -> None:
        self._lifetime = lifetime
        self._taken: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def take(self, table: str) -> bool:
        """Count one row; False when the webhook is used up, of which the sender is told nothing."""
        if self._taken[table] >= self._lifetime:
            self._dropped[table] += 1
            return False
        self._taken[table] += 1
        return True

    def as_data(self) -> dict[str, dict[str, int]]:
        """Rows taken and silently dropped, by table."""
        return {
            table: {"taken": self._taken[table], "dropped": self._dropped[table]}
            for table in sorted(self._taken.keys() | self._dropped.keys())
        }
