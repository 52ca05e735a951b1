"""How senders prove themselves, for ``enrichment send``. Pure: keys and time are handed in.

Written from the senders' documentation and apart from the gateway's verifiers, so that the two agree through the
documentation only. Each function returns the headers of a POST; where a URL comes in, it is the one that is called.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from urllib.parse import parse_qsl, unquote

_SIGNED_DECODED = re.compile("%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""The escapes that HubSpot decodes in a URL before it signs it; all others stay."""
_JSON = {"Content-Type": "application/json"}


def hubspot_signature(secret: str, method: str, url: str, body: bytes, timestamp: str) -> str:
    """Return HubSpot's signature v3 of a request."""
    signed = _SIGNED_DECODED.sub(lambda escape: unquote(escape[0]), url)
    message = method.encode() + signed.encode() + body + timestamp.encode()
    return _base64(hmac.digest(secret.encode(), message, hashlib.sha256))


def hubspot_headers(secret: str, url: str, body: bytes, now_ms: int) -> dict[str, str]:
    """Sign as HubSpot does for app webhooks and workflows (version 3)."""
    timestamp = str(now_ms)
    return {
        **_JSON,
        "X-HubSpot-Request-Timestamp": timestamp,
        "X-HubSpot-Signature-v3": hubspot_signature(secret, "POST", url, body, timestamp),
    }


def secret_headers(secret: str, header: str) -> dict[str, str]:
    """Show a shared secret: what Flow, Clay and others do that sign nothing."""
    return {**_JSON, header: f"Bearer {secret}" if header.lower() == "authorization" else secret}


def basic_headers(credentials: str) -> dict[str, str]:
    """Show ``user:password``, as Postmark does that has them in its URL."""
    return {**_JSON, "Authorization": f"Basic {_base64(credentials.encode())}"}


def segment_headers(secret: str, body: bytes) -> dict[str, str]:
    """Sign as Segment does: an event, or the first one of a batch."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None  # what is no JSON is signed as it is
    signed = _compact(value[0]) if isinstance(value, list) and value else body
    return {**_JSON, "X-Signature": hmac.digest(secret.encode(), signed, hashlib.sha1).hex()}


def sendgrid_headers(private_key: str, body: bytes, now_s: int) -> dict[str, str]:
    """Sign as SendGrid does. Only it has the private key; of an emulated one it is the base64 of its DER form."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    key, timestamp = load_der_private_key(base64.b64decode(private_key), None), str(now_s)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError("not a key on an elliptic curve")  # noqa: TRY004 - the value is wrong
    signature = key.sign(timestamp.encode() + body, ECDSA(SHA256()))
    return {
        **_JSON,
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        "X-Twilio-Email-Event-Webhook-Signature": _base64(signature),
    }


def twilio_headers(token: str, url: str, body: bytes, algorithm: str = "sha1") -> dict[str, str]:
    """Sign a form as Twilio does; SHA-256 is for the shared keys of webhook rules."""
    pairs = sorted(set(parse_qsl(body.decode(errors="replace"), keep_blank_values=True)))
    return _twilio(token, url + "".join(name + value for name, value in pairs), "x-www-form-urlencoded", algorithm)


def twilio_json_headers(token: str, url: str) -> dict[str, str]:
    """Sign a JSON body as Twilio does: the URL, in which ``bodySHA256`` stands."""
    return _twilio(token, url, "json", "sha1")


def _twilio(key: str, signed: str, kind: str, algorithm: str) -> dict[str, str]:
    rule = {"X-Twilio-Webhooks-Signature-Settings": f"key=YK0,algorithm=HMAC_{algorithm.upper()}"}
    return {
        "Content-Type": f"application/{kind}",
        "X-Twilio-Signature": _base64(hmac.digest(key.encode(), signed.encode(), algorithm)),
        **(rule if algorithm != "sha1" else {}),
    }


def linkedin_headers(secret: str, body: bytes) -> dict[str, str]:
    """Sign as LinkedIn does."""
    return {**_JSON, "X-LI-Signature": hmac.digest(secret.encode(), b"hmacsha256=" + body, hashlib.sha256).hex()}


def standard_headers(secret: str, message_id: str, body: bytes, now_s: int) -> dict[str, str]:
    """Sign by Standard Webhooks."""
    content = f"{message_id}.{now_s}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return {
        **_JSON,
        "webhook-id": message_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": f"v1,{_base64(hmac.digest(key, content, hashlib.sha256))}",
    }


def cloudevents_headers(token: str, header: str, body: bytes) -> dict[str, str]:
    """Show a token, and say whether the body is one event or a batch."""
    batch = "-batch" if body.lstrip()[:1] == b"[" else ""
    return {**secret_headers(token, header), "Content-Type": f"application/cloudevents{batch}+json"}


def _compact(value: object) -> bytes:
    """Return JSON as JavaScript writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
