"""Bombora Company Surge: rows of its Intent API, posted by whatever reads them (Bombora itself pushes nothing).

Source: Bombora Intent API v1. The body is a page of the API, ``data[]``, or one row. A row is about a company, never a
person, with a score from 0 to 100 (60 and more: it surges) and the topics behind it; they are renewed once a week,
which is what tells a repeat: the rows carry no date.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from enrichment_dagster.domain.config import SharedSecretConfig
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, child, number, text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.intent import intent_fact, rows_of
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.proof.shared_secret import SharedSecret


@dataclass(frozen=True, slots=True)
class Bombora(JsonSender):
    """The sender "bombora"."""

    name: ClassVar[str] = "bombora"
    path: ClassVar[str] = "/webhooks/bombora"

    @classmethod
    def build(cls, config: SharedSecretConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        return cls(SharedSecret(door.secrets, config.header), door.triggers)

    def _events_of(self, value: Any) -> Any:
        return rows_of(value)

    def _fact(self, element: Element, now: datetime) -> Fact:
        topic = _strongest(element.get("topics"))
        score, name = number(element, "score"), text(topic, "name")
        year, week, _ = now.isocalendar()
        return intent_fact(
            element,
            self.triggers,
            domain=text(element, "domain"),
            occurred_at=now,
            identity=(name, f"{year}-W{week}"),
            attributes={
                "company": text(child(element, "company"), "name"),
                "topic": name,
                "level": text(element, "scoreLabel"),
                "score": number(topic, "score") if score is None else score,
            },
        )


def _strongest(topics: Any) -> Element:
    """Return the topic of the highest score."""
    found = [topic for topic in topics if isinstance(topic, dict)] if isinstance(topics, list) else []
    return max(found, key=lambda topic: number(topic, "score") or 0.0, default={})
