"""SendGrid's request signature: ECDSA over P-256 and SHA-256, of the timestamp followed by the raw body.

Source: twilio.com/docs/sendgrid, "Getting Started with the Event Webhook Security Features". The body ends with CR LF,
and both are signed. The public key is the base64 text that SendGrid shows.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from enrichment_dagster.errors import SignatureError
from enrichment_dagster.intake.proof.age import check_age
from enrichment_dagster.intake.sender import RawRequest

SIGNATURE_HEADER = "x-twilio-email-event-webhook-signature"
TIMESTAMP_HEADER = "x-twilio-email-event-webhook-timestamp"
_SECOND = timedelta(seconds=1)
_ALGORITHM = ECDSA(SHA256())


@dataclass(frozen=True, slots=True)
class SendGridSignature:
    """Checks signatures; two keys while one is replaced."""

    keys: tuple[EllipticCurvePublicKey, ...]
    tolerance: timedelta

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Check that SendGrid signed the request, and recently.

        Raises:
            SignatureError: ``missing_signature``, ``bad_timestamp``, ``stale``, ``future`` or ``bad_signature``.
        """
        given, timestamp = request.headers.get(SIGNATURE_HEADER), request.headers.get(TIMESTAMP_HEADER)
        if not given or not timestamp:
            raise SignatureError("missing_signature", "switch on the Signed Event Webhook in SendGrid")
        check_age(timestamp, _SECOND, self.tolerance, now)
        message = timestamp.encode() + request.body
        if not any(_signed(key, given, message) for key in self.keys):
            raise SignatureError("bad_signature", "the verification key differs from ours, or the body was changed")


def _signed(key: EllipticCurvePublicKey, given: str, message: bytes) -> bool:
    try:
        key.verify(base64.b64decode(given.encode("ascii", "replace"), validate=True), message, _ALGORITHM)
    except (InvalidSignature, binascii.Error):
        return False
    return True


def read_keys(texts: Sequence[bytes]) -> tuple[EllipticCurvePublicKey, ...]:
    """Return the public keys of their text form.

    Raises:
        ValueError: one is not the base64 of a public key on an elliptic curve.
    """
    return tuple(_read_key(text) for text in texts)


def _read_key(text: bytes) -> EllipticCurvePublicKey:
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as error:
        raise ValueError("not the base64 text of a public key, as SendGrid shows it") from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("a public key of another kind than SendGrid's")  # noqa: TRY004 - the value is wrong
    return key
