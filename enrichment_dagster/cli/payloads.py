"""The bodies that senders post, one sample each. Pure: time and numbers are handed in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

_APP_ID, _SUBSCRIPTION_ID = 54321, 22  # any: they are part of the form only


@dataclass(frozen=True, slots=True)
class About:
    """Whom a sample is about. ``number`` tells it from all others."""

    now: datetime
    number: int
    email: str = "jane@acme.com"
    company: str = "Acme"
    domain: str = "acme.com"
    phone: str = "+14155550132"
    contact: int = 1246978  # HubSpot's id
    lead: str = "00Q5f000001abcDEAQ"  # Salesforce's id
    portal: int = 62515

    @property
    def iso(self) -> str:
        """Return the time as ISO 8601 in milliseconds."""
        return self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @property
    def seconds(self) -> int:
        """Return whole seconds since 1970."""
        return int(self.now.timestamp())


def hubspot(about: About) -> Any:
    """A contact was created."""
    return [
        {
            "eventId": about.number,
            "subscriptionId": _SUBSCRIPTION_ID,
            "portalId": about.portal,
            "appId": _APP_ID,
            "attemptNumber": 0,
            "occurredAt": round(about.now.timestamp() * 1_000),
            "subscriptionType": "contact.creation",
            "objectId": about.contact,
            "changeSource": "API",
            "changeFlag": "NEW",
            "sourceId": "enrichment send",
        }
    ]


def hubspot_workflow(about: About) -> Any:
    """A contact is enrolled in a workflow."""
    return {
        "contact_id": str(about.contact),
        "email": about.email,
        "company": about.company,
        "event_type": "contact_created",
        "timestamp": about.iso,
    }


def hubspot_custom_code(about: About) -> Any:
    """A custom code action runs for a contact."""
    return {
        "origin": {"portalId": about.portal, "actionDefinitionId": 2},
        "object": {"objectType": "CONTACT", "objectId": about.contact},
        "inputFields": {"email": about.email, "hs_object_id": str(about.contact)},
        "callbackId": f"ap-{about.portal}-{about.number}",
    }


def salesforce_flow(about: About) -> Any:
    """A lead was created."""
    return {
        "lead_id": about.lead,
        "email": about.email,
        "company": about.company,
        "event_type": "lead_created",
        "timestamp": about.iso,
    }


def segment(about: About) -> Any:
    """Somebody looks at the prices."""
    return {
        "type": "page",
        "messageId": f"ajs-{about.number}",
        "userId": f"user-{about.email}",
        "anonymousId": f"browser-{about.email}",
        "context": {"traits": {"email": about.email}},
        "properties": {"url": "https://www.example.com/pricing?plan=team", "path": "/pricing"},
        "timestamp": about.iso,
        "sentAt": about.iso,
        "receivedAt": about.iso,
    }


def sendgrid(about: About) -> Any:
    """A mail bounced for good."""
    return [
        {
            "email": about.email,
            "timestamp": about.seconds,
            "event": "bounce",
            "type": "bounce",
            "status": "5.1.1",
            "reason": "550 5.1.1 The email account that you tried to reach does not exist.",
            "sg_event_id": f"event-{about.number}",
            "sg_message_id": f"message-{about.number}",
        }
    ]


def postmark(about: About) -> Any:
    """A mail bounced for good."""
    return {
        "RecordType": "Bounce",
        "MessageStream": "outbound",
        "ID": about.number,
        "Type": "HardBounce",
        "TypeCode": 1,
        "Name": "Hard bounce",
        "MessageID": f"883953f4-6105-42a2-a16a-{about.number:012d}",
        "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
        "Email": about.email,
        "BouncedAt": about.now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "1Z",
        "Inactive": True,
        "CanActivate": True,
    }


def twilio(about: About) -> Any:
    """A call did not reach a number that exists."""
    return {
        "CallSid": f"CA{about.number:032x}",
        "AccountSid": "AC00000000000000000000000000000001",
        "From": "+14155550100",
        "To": about.phone,
        "CallStatus": "failed",
        "SipResponseCode": "404",
        "Direction": "outbound-api",
        "Timestamp": about.now.strftime("%a, %d %b %Y %H:%M:%S +0000"),
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "2",
        "CallDuration": "0",
    }


def clay(about: About) -> Any:
    """A table tells of a lead."""
    return {
        "event_type": "lead_created",
        "source_system": "salesforce",
        "source_id": about.lead,
        "email": about.email,
        "company_domain": about.domain,
        "timestamp": about.iso,
    }


def g2(about: About) -> Any:
    """A company looks at prices on G2."""
    row = {
        "company_name": about.company,
        "company_domain": about.domain,
        "signal_type": "pricing",
        "day": f"{about.now:%Y-%m-%d}",
        "company_intent_score": 85.5,
        "total_activity": 5,
        "subject_product_slug": f"product-{about.number}",
    }
    return {"data": [{"id": f"{about.number:032x}", "type": "buyer_intent", "attributes": row}]}


def bombora(about: About) -> Any:
    """A company reads about a topic."""
    topic = {"name": f"Spare Parts Management {about.number}", "score": 88}
    company = {"name": about.company}
    return {
        "data": [{"domain": about.domain, "company": company, "score": 82, "scoreLabel": "High", "topics": [topic]}]
    }


def linkedin(about: About) -> Any:
    """Somebody sent off a lead form, and a tool added the answers."""
    return {
        "type": "LEAD_ACTION",
        "leadGenFormResponse": f"urn:li:leadGenFormResponse:{about.number}",
        "leadGenForm": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:818,1)",
        "owner": {"sponsoredAccount": "urn:li:sponsoredAccount:123"},
        "leadType": "SPONSORED",
        "leadAction": "CREATED",
        "occurredAt": round(about.now.timestamp() * 1_000),
        "answers": {"WORK_EMAIL": about.email, "COMPANY_NAME": about.company},
    }


def cloudevents(about: About) -> Any:
    """A lead was created."""
    return {
        "specversion": "1.0",
        "id": f"event-{about.number}",
        "source": "/crm/salesforce",
        "type": "lead_created",
        "time": about.iso,
        "datacontenttype": "application/json",
        "data": {
            "record_id": about.lead,
            "object_type": "Lead",
            "email": about.email,
            "company": about.company,
        },
    }


def standard_webhooks(about: About) -> Any:
    """A lead was created."""
    data = {"source_system": "hubspot", "source_id": str(about.contact), "email": about.email}
    return {"type": "lead_created", "timestamp": about.iso, "data": data}


SAMPLES: Mapping[str, Callable[[About], Any]] = MappingProxyType(
    {
        sample.__name__: sample
        for sample in (
            hubspot, hubspot_workflow, hubspot_custom_code, salesforce_flow, segment, sendgrid, postmark, twilio, clay,
            g2, bombora, linkedin, cloudevents, standard_webhooks,
        )
    }
)  # fmt: skip
"""A sample of every sender, by the sender's name."""


def sample_body(sender: str, about: About) -> bytes:
    """Return a sender's sample in the form in which it posts it."""
    value = SAMPLES[sender](about)
    if sender == "twilio":
        return urlencode(value).encode()
    ending = b"\r\n" if sender == "sendgrid" else b""
    return json.dumps(value, separators=(",", ":")).encode() + ending
