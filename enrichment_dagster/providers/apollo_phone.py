"""Apollo: a person's phone number, which comes later.

Source: Apollo's OpenAPI. people/match with ``reveal_phone_number`` answers at once with a request id; the number is
posted to ``webhook_url`` (unsigned, possibly more than once) and kept for GET webhook_result/{request_id} for 30 days.
Both have the same body. A credit is taken only when there is a number.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import Reply
from enrichment_dagster.ports import Answer, Pending, Query
from enrichment_dagster.providers.apollo_enrich import identity
from enrichment_dagster.providers.apollo_phone_numbers import best_phone
from enrichment_dagster.providers.apollo_wire import ApolloLookup, request_id_of
from enrichment_dagster.providers.bulk import objects_in, rows_at
from enrichment_dagster.providers.lookup import by_email, malformed, object_at, object_of

_ANY, _OK, _NOT_READY = range(100, 600), range(200, 300), 404
_POLL_SECONDS, _LONGEST_WAIT = 60.0, 3_600.0
_TERMINAL = frozenset({"request_id_unknown", "request_id_expired", "invalid_request_id"})
_REQUEST_ID = re.compile(r"-?\d{1,20}", re.ASCII)


class ApolloPhone(ApolloLookup):
    """``apollo.phone``: a phone number by e-mail, answered to a callback URL or when it is polled."""

    purpose = "phone"
    gives = frozenset({"phone"})
    calls_back = True
    slow = True

    def subject(self, query: Query) -> str | None:
        """Return the key of the person's e-mail."""
        return by_email(query)

    async def fetch(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Answer | Pending:
        """Order the number.

        Raises:
            ProviderError: there is no URL that Apollo could call (``no_public_url``), or the order failed.
        """
        self.require_subject(query)
        if not callback_url:
            raise ProviderError("no_public_url", transient=False, maybe_sent=False)
        reply = await self._ask(query, timeout_seconds, callback_url)
        if reply.status not in _OK:
            raise self.client.refusal(replace(reply, body=_without(callback_url, reply.body)))
        return replace(self.unless_error(self._read(reply), reply), quota=self.quota(reply))

    async def _ask(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Reply:
        body = {**identity(query), "reveal_phone_number": True, "webhook_url": callback_url}
        path = "/api/v1/people/match"
        return await self.client.request("POST", path, json=body, timeout_seconds=timeout_seconds, accept=_ANY)

    def _read(self, reply: Reply) -> Answer | Pending:
        body = object_of(reply)
        person, request_id = object_at(body, "person"), request_id_of(body)
        if request_id:
            return Pending(request_id, _POLL_SECONDS, reply.status)
        if person is not None:
            raise malformed("there is no request_id")
        return Answer((), "", reply.status)

    async def poll(self, request_id: str, query: Query, timeout_seconds: float) -> Answer | Pending:
        """Ask whether the number is there.

        Raises:
            ProviderError: the call failed, or Apollo does not know the request id (any more), which ends the waiting.
        """
        del query
        if not _REQUEST_ID.fullmatch(request_id):
            raise ProviderError("invalid_request_id", transient=False, maybe_sent=False)
        path = f"/api/v1/webhook_result/{request_id}"
        reply = await self.client.request("GET", path, timeout_seconds=timeout_seconds, accept=_ANY)
        answer = self.read_callback(reply.body) if reply.status in _OK else self._unready(request_id, reply)
        return replace(answer, quota=self.quota(reply))

    def _unready(self, request_id: str, reply: Reply) -> Pending:
        body = reply.body if isinstance(reply.body, dict) else {}
        code = body.get("error_code")
        if reply.status == _NOT_READY and code == "result_pending":
            return Pending(request_id, _seconds(body.get("retry_after_seconds")), reply.status)
        if isinstance(code, str) and code in _TERMINAL:
            raise ProviderError(code, transient=False, http_status=reply.status)
        raise self.client.refusal(reply)

    def read_callback(self, body: Any) -> Answer:
        """Read a result: as it is posted, as it is polled, and without the envelope around ``people``.

        Raises:
            ProviderError: there is no list of people.
        """
        if not isinstance(body, dict):
            raise malformed("the result is not an object")
        result = object_at(body, "webhook_result") or body
        return Answer(best_phone(objects_in(rows_at(result, "people"))), request_id_of(body))


def _seconds(wait: Any) -> float:
    is_number = isinstance(wait, int | float) and not isinstance(wait, bool)
    return float(wait) if is_number and 0 < wait <= _LONGEST_WAIT else _POLL_SECONDS


def _without(url: str, body: Any) -> Any:
    """Return an error's body without our callback URL, which holds a token; Apollo may repeat it in a message."""
    if not isinstance(body, dict):
        return body
    return {key: text.replace(url, "***") if isinstance(text, str) else text for key, text in body.items()}
