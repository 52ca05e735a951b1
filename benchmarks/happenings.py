"""What happens at a busy customer's: records of all kinds, and the senders that tell of them, each in its own words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle
from types import MappingProxyType
from typing import Any

from benchmarks.crm import EmulatedCrms, wire
from enrichment_dagster.cli.delivery import make_delivery
from enrichment_dagster.cli.payloads import About, sample_body
from enrichment_dagster.domain.triggers import (
    CONTACT_ASSOCIATED,
    DATA_QUALITY,
    INTENT_SIGNAL,
    LEAD_CREATED,
    OPPORTUNITY_STAGE_CHANGED,
    WEBSITE_VISIT,
)
from enrichment_dagster.sandbox.world import World
from enrichment_dagster.settings import Settings

REPEAT_EVERY = 10
"""Of so many events of a type the last one tells of the subject of the one before once more."""

NEVER_TWICE = frozenset({LEAD_CREATED, CONTACT_ASSOCIATED})
"""A lead is new once; HubSpot's tellings of one association are one event if they come within ten seconds."""

_FIRST_PERSON = 1_000  # the ones before are for warming up
_FIRST_NUMBER = 10**9

Body = Callable[[datetime, int], bytes]
"""Makes the body that tells of something: of the moment at which it happens, and a number that nothing else has."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a sender tells of."""

    event_type: str
    sender: str
    body: Body

    def request(self, settings: Settings, at: datetime, number: int) -> bytes:
        """Return the signed webhook, ready for the wire."""
        body = self.body(at, _FIRST_NUMBER + number)
        delivery = make_delivery(settings, self.sender, body, round(at.timestamp() * 1_000))
        return wire(delivery.path, delivery.headers, delivery.body)


class Cast:
    """Makes the records that things happen to, each of a person or a company that no other one is of."""

    def __init__(self, crms: EmulatedCrms, world: World) -> None:
        """``world`` is that of the emulators."""
        self._crms = crms
        self._people = iter(world.all_people[_FIRST_PERSON:])
        self._companies = iter(world.all_companies)

    def lead(self) -> dict[str, Any]:
        """Make a lead in Salesforce, of anybody: some have an address of no company."""
        return self._crms.make("salesforce/leads", person=next(self._people).index)

    def contact(self) -> dict[str, Any]:
        """Make a contact in HubSpot, of anybody."""
        return self._crms.make("hubspot/contacts", person=next(self._people).index)

    def employee(self, path: str = "hubspot/contacts") -> dict[str, Any]:
        """Make a contact that is linked to the company of its person, with the person's number."""
        person = next(person for person in self._people if person.is_business)
        phone = {"phone" if path.startswith("hubspot") else "Phone": person.phone}
        made = self._crms.make(path, person=person.index, associate=True, properties=phone)
        return {**made, "phone": person.phone}

    def deal(self, path: str, **properties: str) -> dict[str, Any]:
        """Make a deal or an opportunity."""
        return self._crms.make(path, company=next(self._companies).index, properties=properties)

    def company(self) -> tuple[str, str]:
        """Return name and domain of a company."""
        company = next(self._companies)
        return company.name, company.domain


Scene = Callable[[Cast, str], Body]
"""Makes the record and returns how a sender tells of it."""


def _sample(sender: str, **about: Any) -> Body:
    return lambda at, number: sample_body(sender, About(at, number, **about))


def _as_json(tell: Callable[[About], Any]) -> Body:
    return lambda at, number: json.dumps(tell(About(at, number)), separators=(",", ":")).encode()


def _new_contact(cast: Cast, sender: str) -> Body:
    made = cast.contact()
    return _sample(sender, contact=int(made["id"]), email=made["email"], company=made["company"] or "")


def _new_lead(cast: Cast, sender: str) -> Body:
    made = cast.lead()
    return _sample(sender, lead=made["id"], email=made["email"], company=made["company"] or "")


def _hubspot_change(about: About, kind: str, **said: Any) -> dict[str, Any]:
    return {
        "eventId": about.number,
        "subscriptionId": 75,
        "portalId": about.portal,
        "appId": 54321,
        "attemptNumber": 0,
        "occurredAt": round(about.now.timestamp() * 1_000),
        "subscriptionType": kind,
        "changeSource": "CRM_UI",
        "sourceId": "userId:864745280",
        **said,
    }


def _association(cast: Cast, _sender: str) -> Body:
    """Both sides of one change, as HubSpot tells it: the second one is a duplicate."""
    made = cast.employee()
    contact, company = int(made["id"]), int(made["company_id"])
    sides = (("contact", "CONTACT_TO_COMPANY", contact, company), ("company", "COMPANY_TO_CONTACT", company, contact))
    return _as_json(
        lambda about: [
            _hubspot_change(
                about,
                f"{side}.associationChange",
                associationType=name,
                fromObjectId=start,
                toObjectId=end,
                associationRemoved=False,
                isPrimaryAssociation=True,
            )
            for side, name, start, end in sides
        ]
    )


def _account_of_contact(cast: Cast, _sender: str) -> Body:
    made = cast.employee("salesforce/contacts")
    said = {"contact_id": made["id"], "account_id": made["company_id"], "event_type": CONTACT_ASSOCIATED}
    return _as_json(lambda about: {**said, "timestamp": about.iso})


def _deal_stage(cast: Cast, _sender: str) -> Body:
    changed = {"propertyName": "dealstage", "propertyValue": "contractsent"}
    deal = int(cast.deal("hubspot/deals", dealstage="contractsent")["id"])
    return _as_json(lambda about: [_hubspot_change(about, "deal.propertyChange", objectId=deal, **changed)])


def _opportunity_stage(cast: Cast, _sender: str) -> Body:
    stage = "Negotiation/Review"
    made = cast.deal("salesforce/opportunities", StageName=stage)
    said = {"opportunity_id": made["id"], "account_id": made["company_id"], "stage": stage}
    return _as_json(lambda about: {**said, "event_type": OPPORTUNITY_STAGE_CHANGED, "timestamp": about.iso})


def _of_employee(cast: Cast, sender: str) -> Body:
    made = cast.employee()
    return _sample(sender, email=made["email"], phone=made["phone"])


def _of_company(cast: Cast, sender: str) -> Body:
    name, domain = cast.company()
    return _sample(sender, company=name, domain=domain, email=f"info@{domain}")


SCENES: Mapping[str, Sequence[tuple[str, Scene]]] = MappingProxyType(
    {
        LEAD_CREATED: (
            ("hubspot", _new_contact),
            ("salesforce_flow", _new_lead),
            ("hubspot_workflow", _new_contact),
            ("clay", _new_lead),
            ("hubspot_custom_code", _new_contact),
            ("cloudevents", _new_lead),
            ("standard_webhooks", _new_contact),
        ),
        CONTACT_ASSOCIATED: (("hubspot", _association), ("salesforce_flow", _account_of_contact)),
        OPPORTUNITY_STAGE_CHANGED: (("hubspot", _deal_stage), ("salesforce_flow", _opportunity_stage)),
        WEBSITE_VISIT: (("segment", _of_employee),),
        INTENT_SIGNAL: (("g2", _of_company), ("bombora", _of_company), ("linkedin", _of_company)),
        DATA_QUALITY: (("sendgrid", _of_employee), ("postmark", _of_employee), ("twilio", _of_employee)),
    }
)
"""By event type: who tells of it, and of what."""


def happenings(cast: Cast, count: int) -> list[Happening]:
    """Return so many happenings: the event types by turns, and within each type its senders by turns."""
    types = list(SCENES)
    scenes = {event_type: cycle(SCENES[event_type]) for event_type in types}
    told: list[Happening] = []
    for number in range(count):
        event_type, turn = types[number % len(types)], number // len(types)
        if event_type not in NEVER_TWICE and turn % REPEAT_EVERY == REPEAT_EVERY - 1:
            told.append(told[-len(types)])
            continue
        sender, scene = next(scenes[event_type])
        told.append(Happening(event_type, sender, scene(cast, sender)))
    return told
