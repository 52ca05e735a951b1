"""Twilio's voice status callbacks: a form (or JSON) for each state of a call, signed.

Source: twilio.com/docs/voice, "Call resource: status callback". Callbacks come in any order; call and sequence number
tell a repeat. A call that failed with one of four SIP codes did not reach a number that exists; busy and unanswered
calls say nothing of the number. Twilio shows a 4xx to its user in the debugger and does not repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from enrichment_dagster.domain.config import TwilioConfig
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.triggers import DATA_QUALITY
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.form_body import parse_form
from enrichment_dagster.intake.json_body import parse_json
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.moments import mail_moment
from enrichment_dagster.intake.proof.twilio import BODY_HASH, TwilioSignature
from enrichment_dagster.intake.sender import Parsed, RawRequest
from enrichment_dagster.intake.subjects import clean_phone, person_by_phone

_FAILED = "failed"
_NO_SUCH_NUMBER = frozenset({"404", "410", "484", "604"})  # not found, gone, address incomplete, nowhere
_UNREACHABLE = frozenset({"failed", "busy", "no-answer"})
_KEPT = ("CallSid", "CallStatus", "SipResponseCode", "Direction", "From")


@dataclass(frozen=True, slots=True)
class Twilio(JsonSender):
    """The sender "twilio"."""

    name: ClassVar[str] = "twilio"
    path: ClassVar[str] = "/webhooks/twilio"

    @classmethod
    def build(cls, config: TwilioConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        proof = TwilioSignature(door.secrets, door.more_secrets(config.shared_key_envs), door.url)
        return cls(proof, door.triggers)

    def parse(self, request: RawRequest, now: datetime) -> Parsed:
        """Read a form, or the JSON body whose hash stands in the URL."""
        return self._read(parse_json(request.body) if BODY_HASH in request.query else parse_form(request.body), now)

    def _fact(self, element: Element, now: datetime) -> Fact:
        call, status, sequence = (text(element, name) for name in ("CallSid", "CallStatus", "SequenceNumber"))
        phone = clean_phone(text(element, "To") or text(element, "Called"))
        if not call or not status:
            raise PayloadError("incomplete_event", "CallSid and CallStatus are needed")
        code = text(element, "SipResponseCode")
        problem = _problem(status, code, text(element, "Direction")) if phone else ""
        bad = {"problem": problem, "bad_field": "phone", "bad_value": phone, "detail": f"SIP {code}" if code else ""}
        attributes = {**{name: text(element, name) for name in _KEPT}, "phone": phone, **(bad if problem else {})}
        # A call may go to an app or a SIP address in place of a number.
        subject = person_by_phone(phone) if phone else RecordRef(self.name, "call", call)
        moment = mail_moment(element, "Timestamp") if element.get("Timestamp") else now
        return Fact(DATA_QUALITY if problem else None, subject, moment, (call, sequence, status), attributes, call)


def _problem(status: str, sip_code: str, direction: str) -> str:
    if direction == "inbound" or status not in _UNREACHABLE:
        return ""
    return "disconnected" if status == _FAILED and sip_code in _NO_SUCH_NUMBER else "unreachable"
