"""An HMAC over the body in a header, in hex digits: the scheme of most vendors."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from enrichment_dagster.errors import SignatureError
from enrichment_dagster.intake.sender import RawRequest, any_equal


@dataclass(frozen=True, slots=True)
class BodyHmac:
    """Checks such a signature; two secrets while one is rotated. It knows no time: a fact's identity tells a repeat."""

    secrets: tuple[bytes, ...] = field(repr=False)
    header: str
    algorithm: str  # "sha256", "sha1"
    prefix: str = ""  # what stands before the digits: "sha256="
    signed: Callable[[bytes], bytes] = bytes  # the part of the body that is signed; all of it, as a rule

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Check that the sender signed the request.

        Raises:
            SignatureError: ``missing_signature`` or ``bad_signature``.
        """
        given = request.headers.get(self.header.lower())
        if not given:
            raise SignatureError("missing_signature", f"the header {self.header} is missing")
        text = self.signed(request.body)
        expected = [f"{self.prefix}{hmac.digest(key, text, self.algorithm).hex()}".encode() for key in self.secrets]
        if not any_equal(expected, given.encode("utf-8", "replace")):
            raise SignatureError("bad_signature", "the secret differs from ours, or the body was changed")
