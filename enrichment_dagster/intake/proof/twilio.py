"""Twilio's request signature: base64 HMAC over the full URL and, of a form, each parameter's name and value.

Source: twilio.com/docs/usage/webhooks, "Webhooks security" and "Sign webhooks with shared keys". SHA-1 and the
account's auth token, unless a webhook rule says otherwise: then SHA-256 and a shared key, and a header that says so.
Parameters are sorted by name; a value that comes twice counts once. A JSON body is not signed itself: its hash stands
in the URL. Twilio signs with or without the default port, and sends nothing that time could be checked with.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from enrichment_dagster.errors import SignatureError
from enrichment_dagster.intake.sender import RawRequest, any_equal

SIGNATURE_HEADER = "x-twilio-signature"
SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"
BODY_HASH = "bodySHA256"
_SHA1 = "sha1"
_ALGORITHMS = {"HMAC_SHA1": _SHA1, "HMAC_SHA256": "sha256"}
_DEFAULT_PORTS = {"https": 443, "http": 80}
_MOST_PARAMETERS = 500


@dataclass(frozen=True, slots=True)
class TwilioSignature:
    """Checks signatures for one URL, to which Twilio may add a query."""

    auth_tokens: tuple[bytes, ...] = field(repr=False)
    shared_keys: tuple[bytes, ...] = field(repr=False)
    url: str

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Check that Twilio signed the request.

        Raises:
            SignatureError: ``missing_signature``, ``bad_algorithm`` or ``bad_signature``.
        """
        given = request.headers.get(SIGNATURE_HEADER)
        if not given:
            raise SignatureError("missing_signature", f"{SIGNATURE_HEADER} is needed")
        keys, algorithm = self._scheme(request.headers.get(SETTINGS_HEADER) or "")
        url = f"{self.url}?{request.query}" if request.query else self.url
        body_hash = _parameter(request.query, BODY_HASH)
        tail = "" if body_hash is not None else _signed_form(request.body)
        if tail is None:
            raise _bad_signature()
        messages = [(form + tail).encode("utf-8", "replace") for form in _with_and_without_port(url)]
        expected = [base64.b64encode(hmac.digest(key, text, algorithm)) for key in keys for text in messages]
        if not any_equal(expected, given.encode("utf-8", "replace")) or not _same_body(body_hash, request.body):
            raise _bad_signature()

    def _scheme(self, settings: str) -> tuple[tuple[bytes, ...], str]:
        """Return the keys and the hash that the header names."""
        said = dict(part.strip().partition("=")[::2] for part in settings.split(","))
        if not said.get("algorithm"):
            return self.auth_tokens, _SHA1
        algorithm = _ALGORITHMS.get(said["algorithm"])
        if algorithm is None or not self.shared_keys:
            raise SignatureError("bad_algorithm", f"{SETTINGS_HEADER} names an algorithm or a key that we have not")
        return self.shared_keys, algorithm


def _parameter(query: str, name: str) -> str | None:
    return next((value for key, value in parse_qsl(query, keep_blank_values=True) if key == name), None)


def _same_body(expected: str | None, body: bytes) -> bool:
    return expected is None or hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), expected.lower().encode())


def _bad_signature() -> SignatureError:
    return SignatureError("bad_signature", "the key or the URL differs from ours, or the body was changed")


def _signed_form(body: bytes) -> str | None:
    """Return names and values as they are signed; None for what is no form: it must not pass for an empty one."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return None
    return "".join(name + value for name, value in sorted(set(pairs)))


def _with_and_without_port(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    bare = parts.netloc.removesuffix(f":{parts.port}") if parts.port else parts.netloc
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 443)
    return urlunsplit(parts._replace(netloc=bare)), urlunsplit(parts._replace(netloc=f"{bare}:{port}"))
