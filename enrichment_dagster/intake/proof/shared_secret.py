"""A shared secret in a header: for senders that sign nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from enrichment_dagster.errors import SignatureError
from enrichment_dagster.intake.sender import RawRequest, any_equal

_AUTHORIZATION = "authorization"
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """Compares the secret; two while one is rotated. In ``Authorization`` it stands behind the word Bearer."""

    secrets: tuple[bytes, ...] = field(repr=False)
    header: str

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Compare the secret. Nothing is sent that time could be checked with.

        Raises:
            SignatureError: ``missing_secret`` or ``bad_secret``.
        """
        name = self.header.lower()
        given = request.headers.get(name) or ""
        if name == _AUTHORIZATION and given[: len(_BEARER)].lower() == _BEARER:
            given = given[len(_BEARER) :]
        if not given:
            raise SignatureError("missing_secret", f"the header {self.header} is missing")
        if not any_equal(self.secrets, given.encode("utf-8", "replace")):
            raise SignatureError("bad_secret", f"the secret in {self.header} is not the configured one")
