"""SendGrid's Event Webhook: an array of what became of mails, signed.

Source: twilio.com/docs/sendgrid, "Event Webhook Reference". ``sg_event_id`` tells a repeat. A bounce of the type
``blocked`` says nothing of the address; a mail that was dropped because of an earlier bounce does. SendGrid repeats for
24 hours whatever is not answered 2xx; that it signs each attempt anew is not documented, hence the wide tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Self

from enrichment_dagster.domain.config import SendGridConfig
from enrichment_dagster.domain.triggers import DATA_QUALITY
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.bad_address import bad_email
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.moments import epoch_seconds, to_milliseconds
from enrichment_dagster.intake.sender import Manners

_BAD_ADDRESS = frozenset({"bounced address", "invalid"})  # reasons why a mail was dropped
_TEMPORARY = "4."  # enhanced status codes (RFC 3463): persistent transient failure
_MAX_EMAIL = 320


@dataclass(frozen=True, slots=True)
class SendGrid(JsonSender):
    """The sender "sendgrid"."""

    name: ClassVar[str] = "sendgrid"
    path: ClassVar[str] = "/webhooks/sendgrid"
    manners: ClassVar[Manners] = Manners(unreadable=200)

    @classmethod
    def build(cls, config: SendGridConfig, door: Door) -> Self:
        """Return the sender of this configuration; raises ValueError for what is no key."""
        # Late, because only this sender needs it: a library of 15 MB.
        from enrichment_dagster.intake.proof.sendgrid import SendGridSignature, read_keys

        tolerance = timedelta(seconds=config.tolerance_seconds)
        return cls(SendGridSignature(read_keys(door.secrets), tolerance), door.triggers)

    def _fact(self, element: Element, now: datetime) -> Fact:
        event, number = text(element, "event"), text(element, "sg_event_id")
        if not event:
            raise PayloadError("missing_type", "event is missing")
        occurred_at = epoch_seconds(element, "timestamp")
        problem = _problem(element, event)
        subject, said = bad_email(text(element, "email", _MAX_EMAIL), problem, text(element, "reason"), element)
        names = ("event", "type", "status", "bounce_classification", "sg_message_id")
        attributes = {**{name: text(element, name) for name in names}, **said}
        unnumbered = (event, said["email"], attributes["sg_message_id"], to_milliseconds(occurred_at))
        identity = (number,) if number else unnumbered
        return Fact(DATA_QUALITY if problem else None, subject, occurred_at, identity, attributes, number)


def _problem(element: Element, event: str) -> str:
    """Return what an event says of the address; empty where it says nothing (an open, a click, an unsubscription)."""
    if event == "deferred":
        return "soft_bounce"
    if event == "dropped":
        return "hard_bounce" if text(element, "reason").lower() in _BAD_ADDRESS else ""
    if event != "bounce":
        return ""
    if text(element, "type") == "blocked":
        return "blocked"
    return "soft_bounce" if text(element, "status").startswith(_TEMPORARY) else "hard_bounce"
