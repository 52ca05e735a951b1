"""Clay: a table's HTTP column posts a row, guarded by a shared secret in a header (Clay signs nothing).

Source: university.clay.com, "HTTP API". A row is a flat object in our own words: ``event_type``, ``source_system`` and
``source_id``, ``email``, ``company``, ``company_domain``. The answers to rows that WE sent to a table come elsewhere,
to the callback URL of each row (``providers/clay.py``). What is answered stands in the column's cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from enrichment_dagster.domain.config import SharedSecretConfig
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.proof.shared_secret import SharedSecret
from enrichment_dagster.intake.record_fact import happened, said, sent_type, subject_of


@dataclass(frozen=True, slots=True)
class Clay(JsonSender):
    """The sender "clay"."""

    name: ClassVar[str] = "clay"
    path: ClassVar[str] = "/webhooks/clay"

    @classmethod
    def build(cls, config: SharedSecretConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        return cls(SharedSecret(door.secrets, config.header), door.triggers)

    def _fact(self, element: Element, now: datetime) -> Fact:
        kind, attributes = sent_type(element), said(element)
        subject = subject_of(element, attributes)
        occurred_at, moment = happened(element, "timestamp", kind, now)
        return Fact(kind, subject, occurred_at, (kind, subject.key, moment), attributes)
