"""What Hunter's calls share: a call that may be answered later, and its limits.

Source: Hunter's API v2 reference. 202 means that it works on it: the same call is made again. The sources disagree on
403 and 429: one of them is the rate limit, the other the spent quota, so ``errors[].id`` decides. 451 is the address of
somebody who objected: never asked again.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from enrichment_dagster.errors import ProviderError, RemoteError
from enrichment_dagster.http import RemoteClient, RemoteClients, Reply, Rule
from enrichment_dagster.ports import Pending
from enrichment_dagster.providers.extract import value_at
from enrichment_dagster.providers.lookup import VendorLookup

_OK, _PENDING, _FORBIDDEN, _TOO_MANY = 200, 202, 403, 429
_POLL_SECONDS = 2.0
_SPENT = ("usage", "quota", "credit")  # in the id of an error that waiting does not mend


class HunterLookup(VendorLookup):
    """Any lookup of Hunter's."""

    provider = "hunter"

    async def _get(self, path: str, params: Mapping[str, str], timeout_seconds: float, *, accept: int = _OK) -> Reply:
        reply = await self.client.request(
            "GET",
            path,
            params=params,
            timeout_seconds=timeout_seconds,
            accept=(_OK, _PENDING, _FORBIDDEN, _TOO_MANY, accept),
        )
        if reply.status in (_FORBIDDEN, _TOO_MANY):
            raise self._limited(reply)
        return reply

    def _limited(self, reply: Reply) -> RemoteError:
        refusal, error_id = self.client.refusal(reply), value_at(reply.body, "errors.0.id")
        if isinstance(error_id, str) and any(word in error_id for word in _SPENT):
            return ProviderError("out_of_credits", refusal.detail, transient=False, http_status=reply.status)
        return refusal

    @staticmethod
    def _pending(reply: Reply) -> Pending | None:
        """Return that the answer comes later, if it does."""
        return Pending("", _POLL_SECONDS, reply.status) if reply.status == _PENDING else None


def connect(clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
    """Open the client: the key travels in ``X-API-KEY``."""
    return clients.open(
        "hunter",
        base_url,
        error=ProviderError,
        headers={"x-api-key": key},
        statuses={_FORBIDDEN: Rule("throttled", transient=True)},
    )
