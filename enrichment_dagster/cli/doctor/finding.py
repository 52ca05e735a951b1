"""What a check of ``enrichment doctor`` found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    HINT = "hint"  # it works as it is meant to; worth knowing
    WARN = "warn"  # it works, but not as well as it could
    FAIL = "fail"  # it does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``todo`` says what to do, one thing a line, and is empty where all is well."""

    check: str
    level: Level
    found: str
    todo: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding for machines."""
        return {name: str(value) for name, value in asdict(self).items()}


def ok(check: str, found: str) -> Finding:
    """Return a good finding."""
    return Finding(check, Level.OK, found)


def hint(check: str, found: str, todo: str) -> Finding:
    """Return a finding that may be meant so."""
    return Finding(check, Level.HINT, found, todo)


def warn(check: str, found: str, todo: str) -> Finding:
    """Return a finding that can wait."""
    return Finding(check, Level.WARN, found, todo)


def fail(check: str, found: str, *todo: str) -> Finding:
    """Return a finding that can't."""
    return Finding(check, Level.FAIL, found, "\n".join(todo))
