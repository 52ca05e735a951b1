"""CloudEvents over HTTP: one event in the body (structured), in headers (binary), or an array of them (batch).

Source: github.com/cloudevents/spec, "HTTP Protocol Binding" and "HTTP 1.1 Web Hooks for Event Delivery", version 1.0.
The content type tells the mode. ``source`` and ``id`` tell a repeat. The data is in our own words; the configuration
says what an event's type is called here. The sender proves itself by a bearer token, and may ask first whether it may
post.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Self

from enrichment_dagster.domain.config import CloudEventsConfig
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.cloudevents_body import MediaTypeError, binary_event, data_of
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.json_body import parse_json
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.moments import iso_moment
from enrichment_dagster.intake.proof.shared_secret import SharedSecret
from enrichment_dagster.intake.record_fact import our_type, said, subject_of
from enrichment_dagster.intake.sender import Greeting, Parsed, RawRequest

_STRUCTURED, _BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
_MAX_TEXT, _MAX_ID = 1_000, 200  # of what the journal's columns hold


@dataclass(frozen=True, slots=True)
class CloudEvents(JsonSender):
    """The sender "cloudevents"."""

    types: Mapping[str, str] = field(default_factory=dict)  # the sender's types: ours

    name: ClassVar[str] = "cloudevents"
    path: ClassVar[str] = "/webhooks/cloudevents"
    greeting_method: ClassVar[str] = "OPTIONS"

    @classmethod
    def build(cls, config: CloudEventsConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        return cls(SharedSecret(door.secrets, config.header), door.triggers, config.types)

    def greet(self, request: RawRequest) -> Greeting:
        """Let an origin post; what it posts has to carry the token all the same."""
        origin = request.headers.get("webhook-request-origin")
        if not origin:
            raise PayloadError("no_origin", "WebHook-Request-Origin is missing")
        return Greeting(headers={"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*", "Allow": "POST"})

    def parse(self, request: RawRequest, now: datetime) -> Parsed:
        """Read what the content type announces."""
        media_type = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
        if media_type in (_STRUCTURED, _BATCH):
            return self._read(parse_json(request.body), now)
        if "ce-specversion" not in request.headers:
            raise MediaTypeError("unsupported_media_type", f"{_STRUCTURED}, {_BATCH}, or the headers ce-*, are needed")
        return self._read(binary_event(request.headers, request.body), now)

    def _fact(self, element: Element, now: datetime) -> Fact:
        source, number, kind = (text(element, name, _MAX_TEXT) for name in ("source", "id", "type"))
        if text(element, "specversion") != "1.0" or not source or not number or not kind:
            raise PayloadError("incomplete_event", "specversion 1.0, source, id and type are needed")
        occurred_at = iso_moment(element, "time") if element.get("time") is not None else now
        ours, data = self.types.get(kind) or our_type(kind), data_of(element)
        attributes = said(data)
        known = ours in self.triggers.rules
        subject = subject_of(data, attributes) if known else RecordRef(self.name, "event", number[:_MAX_ID])
        return Fact(ours, subject, occurred_at, (source, number), attributes, number[:_MAX_ID])
