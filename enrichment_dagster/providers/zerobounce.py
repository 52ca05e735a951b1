"""ZeroBounce: is this e-mail address deliverable?

Source: ZeroBounce's v2 documentation and Python SDK. Every verdict is HTTP 200, a wrong key as well (``{"error": …}``);
403 is their shield against bursts and passes by itself. The key travels in the query.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, RemoteClients, Reply, Rule
from enrichment_dagster.ports import Answer, Query, RawValue
from enrichment_dagster.providers.lookup import VendorLookup, by_email, malformed, object_of

_STATUSES = {
    "valid": "valid",
    "invalid": "invalid",
    "catch-all": "accept_all",  # the server takes everything: not a proof that the mailbox exists
    "unknown": "unknown",
    "spamtrap": "risky",
    "abuse": "risky",
    "do_not_mail": "risky",
}
_DO_NOT_MAIL = {"disposable": "disposable", "role_based": "role", "role_based_catch_all": "role"}

# How sure the verdict is, an estimate of ours: SMTP said yes or no, or it said nothing that decides.
_CONFIDENCE = {"valid": 0.98, "invalid": 0.98, "disposable": 0.95, "role": 0.9, "risky": 0.8, "accept_all": 0.5}
_UNDECIDED = 0.2


class ZeroBounceVerification(VendorLookup):
    """``zerobounce.verification``: the status of an address in the common enum."""

    provider = "zerobounce"
    purpose = "verification"
    gives = frozenset({"email_status"})

    def subject(self, query: Query) -> str | None:
        """Return the key of the address."""
        return by_email(query)

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        return await self.client.request(
            "GET",
            "/v2/validate",
            params={"email": query.email or "", "ip_address": ""},
            timeout_seconds=timeout_seconds,
        )

    def _read(self, reply: Reply) -> Answer:
        body = object_of(reply)
        if isinstance(body.get("error"), str):
            raise self._refused(body["error"], reply.status)
        status = _common_status(body)
        return Answer((RawValue("email_status", status, _CONFIDENCE.get(status, _UNDECIDED)),), "", reply.status)

    def _refused(self, message: str, http_status: int) -> ProviderError:
        """Return the error for an error body: it has no code, and one text stands for a bad key and for no credits."""
        reason = "unauthorized" if "key" in message.lower() or "credits" in message.lower() else "bad_request"
        return ProviderError(reason, self.client.show(message), transient=False, http_status=http_status)


def _common_status(body: Mapping[str, Any]) -> str:
    """Return the verdict in the common enum; a status that is new to us decides nothing.

    Raises:
        ProviderError: there is no status.
    """
    status, sub_status = body.get("status"), body.get("sub_status")
    if not isinstance(status, str) or not status:
        raise malformed("status is not a text")
    if status == "do_not_mail" and isinstance(sub_status, str):
        return _DO_NOT_MAIL.get(sub_status, "risky")
    return _STATUSES.get(status.lower(), "unknown")


LOOKUPS = {"verification": ZeroBounceVerification}


def connect(clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
    """Open the client."""
    return clients.open(
        "zerobounce",
        base_url,
        error=ProviderError,
        params={"api_key": key},
        statuses={403: Rule("throttled", transient=True)},
    )
