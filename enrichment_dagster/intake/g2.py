"""G2 Buyer Intent: rows of its API, posted by whatever reads them (G2 itself pushes nothing).

Source: G2 API v2, "Buyer Intent". The body is a page of the API, ``data[].attributes``, or one row's attributes. A row
is an aggregate of a day, not an event, and its id changes with it: company, product, signal and day tell a repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, ClassVar, Self

from enrichment_dagster.domain.config import SharedSecretConfig
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, child, number, text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.intent import intent_fact, rows_of
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.moments import plausible
from enrichment_dagster.intake.proof.shared_secret import SharedSecret


@dataclass(frozen=True, slots=True)
class G2(JsonSender):
    """The sender "g2"."""

    name: ClassVar[str] = "g2"
    path: ClassVar[str] = "/webhooks/g2"

    @classmethod
    def build(cls, config: SharedSecretConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        return cls(SharedSecret(door.secrets, config.header), door.triggers)

    def _events_of(self, value: Any) -> Any:
        return rows_of(value)

    def _fact(self, element: Element, now: datetime) -> Fact:
        row = child(element, "attributes") or element
        day, signal = _day(row), text(row, "signal_type")
        product = text(row, "subject_product_slug") or text(row, "subject_product_id")
        return intent_fact(
            row,
            self.triggers,
            domain=text(row, "company_domain"),
            # The end of the day that the row sums up, or now where that is still to come.
            occurred_at=min(datetime.combine(day, time(23, 59, 59), UTC), now),
            identity=(product, signal, day.isoformat()),
            attributes={
                "company": text(row, "company_name"),
                "topic": product or signal,
                "level": signal,
                "score": number(row, "company_intent_score"),
            },
            number=text(element, "id"),
        )


def _day(row: Element) -> date:
    try:
        day = date.fromisoformat(text(row, "day"))
    except ValueError as error:
        raise PayloadError("bad_occurred_at", "day is not a date") from error
    plausible(datetime.combine(day, time(), UTC), "day")
    return day
