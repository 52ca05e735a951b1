"""A sender whose body is JSON: one object for one event, or an array of them. What is its own is in its file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from enrichment_dagster.domain.event import Event
from enrichment_dagster.domain.triggers import Triggers
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.elements import Element, read_elements
from enrichment_dagster.intake.fact import Fact, event_of
from enrichment_dagster.intake.json_body import parse_json
from enrichment_dagster.intake.sender import Manners, Parsed, Proof, RawRequest


@dataclass(frozen=True, slots=True)
class JsonSender(ABC):
    """Proof, parsing and rules; a subclass says where it posts and reads one element."""

    proof: Proof = field(repr=False)
    triggers: Triggers = field(repr=False)

    name: ClassVar[str]
    path: ClassVar[str]
    manners: ClassVar[Manners] = Manners()

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Check the sender's proof."""
        self.proof.verify(request, now)

    def parse(self, request: RawRequest, now: datetime) -> Parsed:
        """Read the body; the good elements of a batch go on where others can't be read."""
        return self._read(self._events_of(parse_json(request.body)), now)

    def _read(self, value: Any, now: datetime) -> Parsed:
        if isinstance(value, list):
            return read_elements(self.name, value, now, self._event)
        if not isinstance(value, dict):
            raise PayloadError("not_an_object", "a JSON object, or an array of them, is needed")
        return Parsed([self._event(value, now)])

    def _event(self, element: Element, now: datetime) -> Event:
        return event_of(self.name, self._fact(element, now), self.triggers, now)

    def _events_of(self, value: Any) -> Any:
        """Return the object or array of events inside the body; the body itself, as a rule."""
        return value

    @abstractmethod
    def _fact(self, element: Element, now: datetime) -> Fact:
        """Read one element.

        Raises:
            PayloadError: it can't be read; it is kept, and the others go on.
        """
