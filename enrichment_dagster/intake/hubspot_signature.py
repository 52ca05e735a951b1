"""HubSpot's request signature, version 3.

Source: developers.hubspot.com, "Validating requests from HubSpot". Base64 of HMAC-SHA256, keyed with the app's client
secret, over method + URL + raw body + timestamp; requests older than five minutes are refused. That requests from the
future are refused as well is our rule: HubSpot documents none.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from enrichment_dagster.errors import SignatureError
from enrichment_dagster.intake.sender import RawRequest, any_equal

SIGNATURE_HEADER = "x-hubspot-signature-v3"
TIMESTAMP_HEADER = "x-hubspot-request-timestamp"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(r"[0-9]{1,15}")
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
        self._check_age(timestamp, now)
        message = request.method.encode() + self.url + request.body + timestamp.encode()
        expected = [base64.b64encode(hmac.digest(secret, message, hashlib.sha256)) for secret in self.secrets]
        if not any_equal(expected, given.encode("utf-8", "replace")):
            raise SignatureError("bad_signature", "the client secret or the target URL differs from ours")

    def _check_age(self, timestamp: str, now: datetime) -> None:
        if not _TIMESTAMP.fullmatch(timestamp):
            raise SignatureError("bad_timestamp", f"{TIMESTAMP_HEADER} is not a number of milliseconds")
        # In integers: a timestamp may be any number, a datetime not.
        age = (now - _EPOCH) // timedelta(microseconds=1) - int(timestamp) * 1_000
        limit = self.tolerance // timedelta(microseconds=1)
        if age > limit:
            raise SignatureError("stale", f"signed more than {self.tolerance.total_seconds():.0f} s ago")
        if age < -limit:
            raise SignatureError("future", f"signed more than {self.tolerance.total_seconds():.0f} s in the future")
