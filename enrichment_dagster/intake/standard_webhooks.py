"""Any sender that signs by Standard Webhooks: one object, ``{"type", "timestamp", "data"}``.

Source: standardwebhooks.com, specification 1. ``webhook-id`` stays the same over all attempts and so tells a repeat.
The data is in our own words; the configuration says what an event's type is called here. Such senders repeat whatever
is not answered 2xx, for days, so a body that can't be read is kept and answered 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Self

from enrichment_dagster.domain.config import StandardWebhooksConfig
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, child, text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.json_body import parse_json
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.moments import iso_moment
from enrichment_dagster.intake.proof.standard_webhooks import ID_HEADER, StandardSignature
from enrichment_dagster.intake.record_fact import our_type, said, subject_of
from enrichment_dagster.intake.sender import Manners, Parsed, RawRequest

_MESSAGE = "webhook-id"


@dataclass(frozen=True, slots=True)
class StandardWebhooks(JsonSender):
    """The sender "standard_webhooks"."""

    types: Mapping[str, str] = field(default_factory=dict)  # the sender's types: ours

    name: ClassVar[str] = "standard_webhooks"
    path: ClassVar[str] = "/webhooks/standard"
    manners: ClassVar[Manners] = Manners(unreadable=200)

    @classmethod
    def build(cls, config: StandardWebhooksConfig, door: Door) -> Self:
        """Return the sender of this configuration; raises ValueError for what is no such secret."""
        # Late, because the package brings the HTTP client along.
        from enrichment_dagster.http.standard_webhooks import read_secret

        keys = tuple(read_secret(secret.decode()) for secret in door.secrets)
        return cls(StandardSignature(keys, timedelta(seconds=config.tolerance_seconds)), door.triggers, config.types)

    def parse(self, request: RawRequest, now: datetime) -> Parsed:
        """Read the body; the message's id stands in a header."""
        value = parse_json(request.body)
        if not isinstance(value, dict):
            raise PayloadError("not_an_object", "a JSON object is needed")
        return self._read({**value, _MESSAGE: request.headers.get(ID_HEADER)}, now)

    def _fact(self, element: Element, now: datetime) -> Fact:
        number, kind, data = text(element, _MESSAGE), text(element, "type"), child(element, "data")
        if not number or not kind:
            raise PayloadError("incomplete_event", f"type, and the header {ID_HEADER}, are needed")
        occurred_at = iso_moment(element, "timestamp") if element.get("timestamp") is not None else now
        ours, attributes = self.types.get(kind) or our_type(kind), said(data)
        known = ours in self.triggers.rules
        subject = subject_of(data, attributes) if known else RecordRef(self.name, "event", number)
        return Fact(ours, subject, occurred_at, (number,), attributes, number)
