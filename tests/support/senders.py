"""What the suite has to know of each sender: a new one is added here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from support.intake import NOW

from enrichment_dagster.cli.delivery import make_delivery
from enrichment_dagster.cli.payloads import SAMPLES, About, sample_body
from enrichment_dagster.intake.registry import build_senders
from enrichment_dagster.intake.sender import RawRequest, Sender
from enrichment_dagster.settings import Settings, load_settings
from enrichment_dagster.supervise.environment import Ports, sandbox_variables

SHIPPED = Path(__file__).parents[2] / "enrichment.yaml"
Change = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A sender's own words for what the scenarios need. Changes are made to one event of its sample."""

    event_type: str
    broken: Change  # an element that can't be read
    unknown: Change  # one of a type that leads nowhere
    big_id: Change | None  # one whose record has the id 2**63 - 1; None where ids are no numbers
    subject: str  # of the sample
    many: bool = True  # whether it may send several events at once
    timed: bool = False  # whether its proof has a date
    unreadable: int = 200  # what a body is answered that can't be read
    again: tuple[int, str] = (503, "5")  # what makes it come again, and when
    in_body: tuple[str, ...] = ()  # where the events stand in the body


def without(*names: str) -> Change:
    return lambda event: {name: value for name, value in event.items() if name not in names}


def having(**changes: Any) -> Change:
    return lambda event: {**event, **changes}


def inside(place: str, change: Change) -> Change:
    return lambda event: {**event, place: change(event[place])}


BIG = 2**63 - 1
LEAD, ACCOUNT = "lead_created", "account:domain:acme.com"
CASES: Mapping[str, Case] = {
    "hubspot": Case(
        LEAD, without("objectId"), having(subscriptionType="ticket.restore"), having(objectId=BIG),
        "hubspot:contact:1246978", timed=True,
    ),
    "hubspot_workflow": Case(
        LEAD, without("contact_id"), having(event_type="renewal_due"), having(contact_id=BIG),
        "hubspot:contact:1246978", timed=True, unreadable=400, again=(429, "5000"),
    ),
    "hubspot_custom_code": Case(
        LEAD, without("object"), inside("inputFields", having(event_type="renewal_due")),
        inside("object", having(objectId=BIG)), "hubspot:contact:1246978", unreadable=400,
    ),
    "salesforce_flow": Case(
        LEAD, without("lead_id"), having(event_type="renewal_due"), None, "salesforce:lead:00Q5f000001abcDEAQ",
        unreadable=400,
    ),
    "segment": Case("website_visit", without("messageId"), having(type="group"), None, "person:email:jane@acme.com"),
    "sendgrid": Case(
        "data_quality", without("timestamp"), having(event="click"), None, "person:email:jane@acme.com", timed=True
    ),
    "postmark": Case(
        "data_quality", without("BouncedAt"), having(RecordType="Open"), having(ID=BIG), "person:email:jane@acme.com"
    ),
    "twilio": Case(
        "data_quality", without("CallSid"), having(CallStatus="completed"), None, "person:phone:+14155550132",
        many=False, unreadable=400,
    ),
    "clay": Case(
        LEAD, having(source_id="x"), having(event_type="renewal_due"),
        having(source_system="hubspot", source_id=BIG), "salesforce:lead:00Q5f000001abcDEAQ", unreadable=400,
    ),
    "g2": Case(
        "intent_signal", inside("attributes", having(day="soon")),
        inside("attributes", having(company_intent_score=None)), None, ACCOUNT, unreadable=400, in_body=("data",),
    ),
    "bombora": Case(
        "intent_signal", without("domain"), without("score", "topics"), None, ACCOUNT, unreadable=400,
        in_body=("data",),
    ),
    "linkedin": Case("intent_signal", without("leadAction"), having(leadAction="DELETED"), None, ACCOUNT),
    "cloudevents": Case(
        LEAD, without("id"), having(type="renewal_due"),
        inside("data", having(record_id=BIG, object_type="contact")), "salesforce:lead:00Q5f000001abcDEAQ",
        unreadable=400,
    ),
    "standard_webhooks": Case(
        LEAD, without("type"), having(type="renewal_due"), inside("data", having(source_id=BIG)),
        "hubspot:contact:1246978", many=False, timed=True,
    ),
}  # fmt: skip


def settings() -> Settings:
    """The shipped configuration with the secret of every sender."""
    return load_settings({**sandbox_variables(Ports()), "ENRICHMENT_CONFIG": str(SHIPPED)})


@dataclass(frozen=True, slots=True)
class Playing:
    """Plays one sender: makes its bodies and signs them."""

    sender: Sender
    settings: Settings = field(repr=False)

    @property
    def case(self) -> Case:
        return CASES[self.sender.name]

    def event(self, number: int = 5) -> Any:
        """One event of the sample, as an object."""
        value = SAMPLES[self.sender.name](About(NOW, number, email=f"jane.{number}@acme.com"))
        for place in self.case.in_body:
            value = value[place]
        return value[0] if isinstance(value, list) else value

    def body(self, *events: Any) -> bytes:
        """A body with these events, in the sender's form."""
        value: Any = list(events) if self.case.many else events[0]
        if self.sender.name == "twilio":
            return urlencode(value).encode()
        for place in self.case.in_body:
            value = {place: value}
        return json.dumps(value, separators=(",", ":")).encode()

    def sample(self) -> bytes:
        return sample_body(self.sender.name, About(NOW, 5))

    def sign(self, body: bytes, at: datetime = NOW) -> tuple[str, dict[str, str]]:
        """The path and the headers that prove a body."""
        delivery = make_delivery(self.settings, self.sender.name, body, round(at.timestamp() * 1_000))
        return delivery.path, {name.lower(): value for name, value in delivery.headers.items()}

    def request(self, body: bytes, at: datetime = NOW) -> RawRequest:
        path, headers = self.sign(body, at)
        return RawRequest("POST", headers, body, path.partition("?")[2])

    def unsigned(self, body: bytes) -> RawRequest:
        """A request that nobody signed, for the parser."""
        is_json = body.lstrip()[:1] in (b"{", b"[")
        query = "bodySHA256=0" if self.sender.name == "twilio" and is_json else ""
        return RawRequest("POST", self.sign(self.sample())[1], body, query)


def playing() -> list[Playing]:
    """Every sender of the registry."""
    found = settings()
    return [Playing(sender, found) for sender in build_senders(found)]
