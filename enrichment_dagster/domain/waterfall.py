"""The waterfall's arithmetic: what is known, what is missing, which lookup is worth a call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from enrichment_dagster.domain.fields import FIELDS, FieldValue, Level, RejectedValue
from enrichment_dagster.domain.outcome import MissingReason


@dataclass(slots=True)
class Knowledge:
    """What is known of one event's person and company: the first valid value of a field stays."""

    wanted: Sequence[str]
    values: dict[str, FieldValue] = field(default_factory=dict)
    rejected: list[RejectedValue] = field(default_factory=list)
    obstacles: dict[str, MissingReason] = field(default_factory=dict)  # the last reason seen for a field

    def missing(self) -> list[str]:
        """Return the wanted fields that have no value yet, in the plan's order."""
        return [name for name in self.wanted if name not in self.values]

    def useful(self, gives: Iterable[str]) -> list[str]:
        """Return what a lookup that gives these fields could still add."""
        offered = set(gives)
        return [name for name in self.missing() if name in offered]

    def add(self, values: Iterable[FieldValue]) -> list[FieldValue]:
        """Keep each value whose field is still empty and return those kept; a later provider never overwrites."""
        kept = []
        for value in values:
            if value.field not in self.values:
                self.values[value.field] = value
                kept.append(value)
        return kept

    def obstruct(self, gives: Iterable[str], reason: MissingReason) -> None:
        """Remember why these fields could not be had from a lookup."""
        self.obstacles.update(dict.fromkeys(self.useful(gives), reason))

    def missing_reasons(self, offered: Iterable[str]) -> dict[str, MissingReason]:
        """Return each missing field's reason. ``offered`` is what the plan's lookups give in all."""
        possible = set(offered)
        rejected = {value.field for value in self.rejected}
        return {name: self._reason(name, possible, rejected) for name in self.missing()}

    def _reason(self, name: str, possible: set[str], rejected: set[str]) -> MissingReason:
        if name in self.obstacles:
            return self.obstacles[name]
        if name in rejected:
            return MissingReason.INVALID
        return MissingReason.NO_DATA if name in possible else MissingReason.NO_PROVIDER


def subject_level(name: str) -> Level:
    """Return whom the field describes."""
    return FIELDS[name].level
