"""How senders prove themselves: HubSpot's signature v3, and Flow's shared secret. Pure; for ``enrichment send``.

Source: developers.hubspot.com, "Validating requests". Written apart from the gateway's verifier, so that the two agree
through the documentation only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from urllib.parse import unquote

_SIGNED_DECODED = re.compile("%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""The escapes that HubSpot decodes in a URL before it signs it; all others stay."""


def hubspot_signature(secret: str, method: str, url: str, body: bytes, timestamp: str) -> str:
    """Return the signature v3 of a request; ``url`` is the one that HubSpot calls."""
    signed = _SIGNED_DECODED.sub(lambda escape: unquote(escape[0]), url)
    message = method.encode() + signed.encode() + body + timestamp.encode()
    return base64.b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)).decode()


def hubspot_headers(secret: str, url: str, body: bytes, now_ms: int) -> dict[str, str]:
    """Return the headers of HubSpot's POST."""
    timestamp = str(now_ms)
    return {
        "Content-Type": "application/json",
        "X-HubSpot-Request-Timestamp": timestamp,
        "X-HubSpot-Signature-v3": hubspot_signature(secret, "POST", url, body, timestamp),
    }


def flow_headers(secret: str, header: str) -> dict[str, str]:
    """Return the headers of a Flow callout."""
    return {"Content-Type": "application/json", header: secret}
