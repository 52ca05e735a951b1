"""Builds the webhook deliveries the CRMs send: HubSpot event arrays and Salesforce Flow callouts.

Signature: HubSpot "Validating requests" (v3); checked against vectors made with HubSpot's own client. Written
independently of the product's verifier, so that the two can only agree through the documentation.
"""

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

FLOW_SECRET_HEADER = "X-Enrichment-Secret"  # noqa: S105  # The header's name.
# The characters HubSpot decodes in the URI before it signs; all others stay encoded.
_DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")",
    "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
_ESCAPE = re.compile("|".join(_DECODED), re.IGNORECASE)


def hubspot_signature_v3(secret: str, method: str, url: str, body: bytes, timestamp: str) -> str:
    """base64(HMAC-SHA256(secret, method + decoded url + body + timestamp))."""
    decoded = _ESCAPE.sub(lambda match: _DECODED[match[0].upper()], url)
    message = method.encode() + decoded.encode() + body + timestamp.encode()
    return b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def build_hubspot_delivery(
    events: Sequence[Mapping[str, Any]], secret: str, url: str, now_ms: int
) -> tuple[dict[str, str], bytes]:
    """Headers and body of one webhook call with up to a hundred events, signed with v3."""
    body = orjson.dumps(list(events))
    timestamp = str(now_ms)
    headers = {
        "Content-Type": "application/json",
        "X-HubSpot-Request-Timestamp": timestamp,
        "X-HubSpot-Signature-v3": hubspot_signature_v3(secret, "POST", url, body, timestamp),
    }
    return headers, body


def contact_creation(
    object_id: int, event_id: int, occurred_ms: int, *, attempt: int = 0, portal_id: int = 62515, source: str = "CRM_UI"
) -> dict[str, Any]:
    """One contact.creation event as HubSpot's webhooks guide shows it; ``source`` is IMPORT for a list import."""
    return {
        "eventId": event_id,
        "subscriptionId": 22,
        "portalId": portal_id,
        "appId": 54321,
        "attemptNumber": attempt,
        "occurredAt": occurred_ms,
        "subscriptionType": "contact.creation",
        "objectId": object_id,
        "changeSource": source,
        "changeFlag": "NEW",
        "sourceId": "userId:864745280",
    }


def build_flow_delivery(
    lead_id: str, email: str, company: str, created_ms: int, secret: str
) -> tuple[dict[str, str], bytes]:
    """Headers and body of a Flow HTTP callout; a callout carries a shared secret and no signature."""
    moment = datetime.fromtimestamp(created_ms / 1000, UTC)
    body = {
        "lead_id": lead_id,
        "email": email,
        "company": company,
        "event_type": "lead_created",
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
    }
    return {"Content-Type": "application/json", FLOW_SECRET_HEADER: secret}, orjson.dumps(body)
