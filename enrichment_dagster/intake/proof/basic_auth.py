"""User and password in the URL that a sender calls: it arrives as HTTP basic authentication (RFC 7617)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime

from enrichment_dagster.errors import SignatureError
from enrichment_dagster.intake.sender import RawRequest, any_equal

_BASIC = "basic "


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """Compares user and password, as ``user:password``; two while one is rotated."""

    credentials: tuple[bytes, ...] = field(repr=False)

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Compare the credentials. Nothing is sent that time could be checked with.

        Raises:
            SignatureError: ``missing_credentials`` or ``bad_credentials``.
        """
        header = request.headers.get("authorization") or ""
        if header[: len(_BASIC)].lower() != _BASIC:
            raise SignatureError("missing_credentials", "put user and password into the URL: https://user:password@...")
        try:
            given = base64.b64decode(header[len(_BASIC) :].strip().encode("ascii", "replace"), validate=True)
        except binascii.Error:
            given = b""
        if not any_equal(self.credentials, given):
            raise SignatureError("bad_credentials", "user or password is not the configured one")
