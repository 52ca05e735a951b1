"""LinkedIn's signatures: hex HMAC-SHA256 with the app's client secret.

Source: learn.microsoft.com/linkedin, "Webhooks". Of a notification the text that is signed is ``hmacsha256=`` and the
raw body; the page can also be read as the signature of the body behind ``hmacsha256=``, so both are taken. Before the
first notification, and again from time to time, LinkedIn asks for the signature of a challenge, a UUID. Anybody may
ask, and must not learn the signature of a notification: what is signed for an asker can't be one, by its characters.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime

from enrichment_dagster.errors import PayloadError, SignatureError
from enrichment_dagster.intake.sender import RawRequest, any_equal

SIGNATURE_HEADER = "x-li-signature"
_PREFIX = b"hmacsha256="
_CHALLENGE = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True, slots=True)
class LinkedInSignature:
    """Checks notifications and answers challenges; two secrets while one is rotated."""

    secrets: tuple[bytes, ...] = field(repr=False)

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Check that LinkedIn signed the request. It sends nothing that time could be checked with.

        Raises:
            SignatureError: ``missing_signature`` or ``bad_signature``.
        """
        given = request.headers.get(SIGNATURE_HEADER)
        if not given:
            raise SignatureError("missing_signature", f"{SIGNATURE_HEADER} is needed")
        expected = [_signature(secret, _PREFIX + request.body) for secret in self.secrets]
        if not _CHALLENGE.fullmatch(request.body.decode("latin-1")):  # else whoever asked for it has its signature
            expected += [_PREFIX + _signature(secret, request.body) for secret in self.secrets]
        if not any_equal(expected, given.encode("utf-8", "replace")):
            raise SignatureError("bad_signature", "the client secret differs from ours")

    def answer(self, challenge: str) -> str:
        """Return the response to a challenge.

        Raises:
            PayloadError: it is none.
        """
        if not _CHALLENGE.fullmatch(challenge):
            raise PayloadError("no_challenge", "LinkedIn asks with a challengeCode of letters, digits and hyphens")
        return _signature(self.secrets[0], challenge.encode()).decode()


def _signature(secret: bytes, message: bytes) -> bytes:
    return hmac.digest(secret, message, hashlib.sha256).hex().encode()
