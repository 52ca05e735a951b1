"""LinkedIn Lead Sync: somebody has sent off a lead form.

Source: learn.microsoft.com/linkedin, "Webhooks" and "Lead Sync: leadNotifications". The notification names form and
answer, not the person: those are read with a token that LinkedIn grants to few. Whatever has one may forward the
notification, signed in the same way, with ``answers``: the form's predefined fields (``WORK_EMAIL``, ``COMPANY_NAME``,
...) and their texts. Without them the account is unknown, and the event is recorded only. LinkedIn repeats what is not
answered 2xx.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self
from urllib.parse import parse_qs

from enrichment_dagster.domain.config import SecretSenderConfig
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.triggers import INTENT_SIGNAL
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, child, text, texts
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.moments import epoch_milliseconds, to_milliseconds
from enrichment_dagster.intake.proof.linkedin import LinkedInSignature
from enrichment_dagster.intake.sender import Greeting, Manners, RawRequest
from enrichment_dagster.intake.subjects import account_by_domain, company_domain

_SENT_OFF = 100.0  # whoever fills in a form could not say it more clearly
_CREATED = "CREATED"
_ANSWERS = {"company": "COMPANY_NAME", "first_name": "FIRST_NAME", "last_name": "LAST_NAME", "phone": "PHONE_NUMBER"}
_MAX_EMAIL = 320


@dataclass(frozen=True, slots=True)
class LinkedIn(JsonSender):
    """The sender "linkedin"."""

    name: ClassVar[str] = "linkedin"
    path: ClassVar[str] = "/webhooks/linkedin"
    manners: ClassVar[Manners] = Manners(unreadable=200)
    greeting_method: ClassVar[str] = "GET"

    @classmethod
    def build(cls, config: SecretSenderConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        return cls(LinkedInSignature(door.secrets), door.triggers)

    def greet(self, request: RawRequest) -> Greeting:
        """Prove to LinkedIn that the endpoint is ours."""
        code = parse_qs(request.query).get("challengeCode", [""])[0]
        if not isinstance(self.proof, LinkedInSignature):
            raise PayloadError("no_challenge", "LinkedIn asks with a challengeCode")
        return Greeting({"challengeCode": code, "challengeResponse": self.proof.answer(code)})

    def _fact(self, element: Element, now: datetime) -> Fact:
        answer, action = text(element, "leadGenFormResponse"), text(element, "leadAction")
        if not answer or not action:
            raise PayloadError("incomplete_event", "leadGenFormResponse and leadAction are needed")
        occurred_at, given = epoch_milliseconds(element, "occurredAt"), child(element, "answers")
        email = text(given, "WORK_EMAIL", _MAX_EMAIL) or text(given, "EMAIL", _MAX_EMAIL)
        domain = company_domain(email)
        attributes = {
            **texts(given, **_ANSWERS),
            "email": email,
            "domain": domain,
            "topic": text(element, "leadGenForm"),
            "level": text(element, "leadType"),
            "score": _SENT_OFF if domain else None,
        }
        subject = account_by_domain(domain) if domain else RecordRef(self.name, "lead", answer)
        identity, kind = (answer, action, to_milliseconds(occurred_at)), INTENT_SIGNAL if action == _CREATED else None
        skip = "" if domain or kind is None else "no_company"
        return Fact(kind, subject, occurred_at, identity, attributes, answer, skip)
