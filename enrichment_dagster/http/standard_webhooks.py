"""Signing what we post to others, by the Standard Webhooks specification (standardwebhooks.com, version 1).

The secret is ``whsec_`` and base64; what is signed is ``{id}.{timestamp}.{body}`` with HMAC-SHA256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes, by the specification


def read_secret(text: str) -> bytes:
    """Return the key of a secret's text form.

    Raises:
        ValueError: it has not the documented form.
    """
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if not text.startswith(PREFIX) or not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"must be {PREFIX} and the base64 of {_SHORTEST} to {_LONGEST} bytes")
    return key


def signed_headers(key: bytes, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers that prove a message; a repeat has the same id and a new time."""
    timestamp = str(int(at.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
