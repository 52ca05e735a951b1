"""The calls that HubSpot takes: JSON with a list of results, and associations that are put.

Source: HubSpot CRM v3 OpenAPI; associations v4 guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enrichment_dagster.crm.hubspot.errors import refused
from enrichment_dagster.errors import CrmError
from enrichment_dagster.http import Call, RemoteClient

PATHS: Mapping[str, str] = {"contact": "contacts", "company": "companies", "deal": "deals"}
_ANSWERS = frozenset({200, 201, 207})


class HubSpotCalls:
    """Makes calls and reads what they answer."""

    def __init__(self, client: RemoteClient, timeout_seconds: float) -> None:
        self.client = client
        self._timeout_seconds = timeout_seconds

    async def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make a call that answers with ``results``.

        Raises:
            BatchRefusedError: something in the body is at fault.
            CrmError: anything else.
        """
        reply = await self.client.exchange(Call("POST", path, self._timeout_seconds, json=body))
        if reply.status not in _ANSWERS:
            raise refused(reply, self.client)
        if not isinstance(reply.body, dict) or not isinstance(reply.body.get("results"), list):
            raise CrmError("malformed", "the reply has no results", transient=True, http_status=reply.status)
        return reply.body

    async def put(self, path: str, body: Any = None) -> None:
        """Make a call that only has to succeed; raises as ``post``."""
        reply = await self.client.exchange(Call("PUT", path, self._timeout_seconds, json=body))
        if reply.status not in _ANSWERS:
            raise refused(reply, self.client)


def results_of(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the results that are objects."""
    return [item for item in answer["results"] if isinstance(item, dict)]
