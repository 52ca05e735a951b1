"""HubSpot's request signatures.

Source: developers.hubspot.com, "Validating requests from HubSpot". Version 3, of app webhooks and of workflows: base64
of HMAC-SHA256, keyed with the app's client secret, over method + URL + raw body + timestamp; requests older than five
minutes are refused. Version 2, of workflows: hex SHA-256 over secret + method + URL + body; it knows no time, so that
only the events' identity tells a repeat.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import unquote

from enrichment_dagster.errors import SignatureError
from enrichment_dagster.intake.proof.age import check_age
from enrichment_dagster.intake.sender import RawRequest, any_equal

SIGNATURE_HEADER = "x-hubspot-signature-v3"
TIMESTAMP_HEADER = "x-hubspot-request-timestamp"
OLD_SIGNATURE_HEADER = "x-hubspot-signature"
_MILLISECOND = timedelta(milliseconds=1)
_DECODED = re.compile("%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)  # all others stay encoded


def signed_url(url: str) -> str:
    """Return the URL as HubSpot signs it: the documented escapes decoded, all others left alone."""
    return _DECODED.sub(lambda match: unquote(match[0]), url)


@dataclass(frozen=True, slots=True)
class SignatureV3:
    """Checks signatures for one target URL; two secrets while one is rotated."""

    secrets: tuple[bytes, ...] = field(repr=False)
    url: bytes  # as signed
    tolerance: timedelta

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Check that HubSpot signed the request, and recently.

        Raises:
            SignatureError: ``missing_signature``, ``bad_timestamp``, ``stale``, ``future`` or ``bad_signature``.
        """
        given, timestamp = request.headers.get(SIGNATURE_HEADER), request.headers.get(TIMESTAMP_HEADER)
        if not given or not timestamp:
            raise SignatureError("missing_signature", f"{SIGNATURE_HEADER} and {TIMESTAMP_HEADER} are needed")
        check_age(timestamp, _MILLISECOND, self.tolerance, now)
        message = request.method.encode() + self.url + request.body + timestamp.encode()
        expected = [base64.b64encode(hmac.digest(secret, message, hashlib.sha256)) for secret in self.secrets]
        if not any_equal(expected, given.encode("utf-8", "replace")):
            raise bad_signature()


@dataclass(frozen=True, slots=True)
class WorkflowSignature:
    """Checks what workflows send: version 3 where it is there, else version 2."""

    v3: SignatureV3

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Check that HubSpot signed the request.

        Raises:
            SignatureError: as version 3; ``missing_signature`` where there is neither.
        """
        given = request.headers.get(OLD_SIGNATURE_HEADER)
        if request.headers.get(SIGNATURE_HEADER) or not given:
            self.v3.verify(request, now)
            return
        message = request.method.encode() + self.v3.url + request.body
        expected = [hashlib.sha256(secret + message).hexdigest().encode() for secret in self.v3.secrets]
        if not any_equal(expected, given.encode("utf-8", "replace")):
            raise bad_signature()


def bad_signature() -> SignatureError:
    """Return the refusal of a signature that is not of our secret, or not over our URL."""
    return SignatureError("bad_signature", "the client secret or the target URL differs from ours")
