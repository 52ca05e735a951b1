"""The bodies that senders post. Pure: time and numbers are handed in."""

from __future__ import annotations

import json
from datetime import datetime

_APP_ID, _SUBSCRIPTION_ID = 54321, 22  # any: they are part of the form only


def hubspot_contact_created(contact: int, portal: int, number: int, occurred_ms: int) -> bytes:
    """Return a HubSpot webhook with one contact.creation event; ``number`` is HubSpot's event id."""
    event = {
        "eventId": number,
        "subscriptionId": _SUBSCRIPTION_ID,
        "portalId": portal,
        "appId": _APP_ID,
        "attemptNumber": 0,
        "occurredAt": occurred_ms,
        "subscriptionType": "contact.creation",
        "objectId": contact,
        "changeSource": "API",
        "changeFlag": "NEW",
        "sourceId": "enrichment send",
    }
    return json.dumps([event]).encode()


def salesforce_lead_created(lead_id: str, email: str, company: str, occurred_at: datetime) -> bytes:
    """Return the body of a Flow callout about a new lead."""
    body = {
        "lead_id": lead_id,
        "email": email,
        "company": company,
        "event_type": "lead_created",
        "timestamp": occurred_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return json.dumps(body).encode()
