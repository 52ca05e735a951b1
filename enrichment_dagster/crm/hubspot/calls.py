"""The calls that HubSpot takes: JSON with a list of results, searches at their pace, and associations that are put.

Source: HubSpot CRM v3 OpenAPI; associations v4 guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enrichment_dagster.clock import Clock
from enrichment_dagster.crm.hubspot.errors import is_of_a_second, refused
from enrichment_dagster.crm.hubspot.pace import SEARCHES_PER_SECOND, Pace
from enrichment_dagster.errors import CrmError
from enrichment_dagster.http import Call, RemoteClient

PATHS: Mapping[str, str] = {"contact": "contacts", "company": "companies", "deal": "deals"}
_ANSWERS = frozenset({200, 201, 207})
_MOST_WAITS = 3  # of one search, for other processes that search as well


class HubSpotCalls:
    """Makes calls and reads what they answer."""

    def __init__(self, client: RemoteClient, timeout_seconds: float, clock: Clock) -> None:
        self.client = client
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._searches = Pace(clock, SEARCHES_PER_SECOND)

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

    async def search(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make a search when it is its turn; answers and raises as ``post``.

        The account's other apps and our other processes count as well. Where they were quicker, the next second is
        waited for, a few times.
        """
        for _ in range(_MOST_WAITS):
            await self._searches.turn()
            try:
                return await self.post(path, body)
            except CrmError as error:
                if not is_of_a_second(error):
                    raise
                wait = error.retry_after_seconds or 0.0
            await self._clock.sleep(wait)
        await self._searches.turn()
        return await self.post(path, body)

    async def put(self, path: str, body: Any = None) -> None:
        """Make a call that only has to succeed; raises as ``post``."""
        reply = await self.client.exchange(Call("PUT", path, self._timeout_seconds, json=body))
        if reply.status not in _ANSWERS:
            raise refused(reply, self.client)


def results_of(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the results that are objects."""
    return [item for item in answer["results"] if isinstance(item, dict)]
