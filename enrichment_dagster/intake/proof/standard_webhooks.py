"""Standard Webhooks: base64 HMAC-SHA256 over ``{id}.{timestamp}.{body}``.

Source: standardwebhooks.com, specification 1. Several signatures, parted by blanks, while the sender rotates its
secret; each names its version. The timestamp is that of the attempt, the id stays the same over all of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from enrichment_dagster.errors import SignatureError
from enrichment_dagster.intake.proof.age import check_age
from enrichment_dagster.intake.sender import RawRequest, any_equal

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"
_SECOND = timedelta(seconds=1)
_VERSION = "v1,"
_MOST_SIGNATURES = 10


@dataclass(frozen=True, slots=True)
class StandardSignature:
    """Checks signatures; ``keys`` are the bytes behind ``whsec_``, two while one is rotated."""

    keys: tuple[bytes, ...] = field(repr=False)
    tolerance: timedelta

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Check that the sender signed the request, and recently.

        Raises:
            SignatureError: ``missing_signature``, ``bad_timestamp``, ``stale``, ``future`` or ``bad_signature``.
        """
        names = (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
        message_id, timestamp, given = (request.headers.get(name) or "" for name in names)
        if not message_id or not timestamp or not given:
            raise SignatureError("missing_signature", f"{', '.join(names)} are needed")
        check_age(timestamp, _SECOND, self.tolerance, now)
        message = f"{message_id}.{timestamp}.".encode("utf-8", "replace") + request.body
        expected = [base64.b64encode(hmac.digest(key, message, hashlib.sha256)) for key in self.keys]
        signatures = [text.removeprefix(_VERSION) for text in given.split() if text.startswith(_VERSION)]
        if not any(any_equal(expected, text.encode("utf-8", "replace")) for text in signatures[:_MOST_SIGNATURES]):
            raise SignatureError("bad_signature", "no signature is of our secret")
