"""ZeroBounce: is this e-mail address deliverable? One by one (validate), and a hundred at a time (validatebatch).

Source: ZeroBounce's v2 documentation and Python SDK. Every verdict is HTTP 200, a wrong key as well (``{"error": …}``);
403 is their shield against bursts and passes by itself. The key travels in the query, of a batch in the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from enrichment_dagster.domain.keys import email_subject
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, RemoteClients, Reply, Rule
from enrichment_dagster.ports import Answer, Query
from enrichment_dagster.providers.bulk import BulkLookup, Result, missing_row, objects_in, read_row, rows_at
from enrichment_dagster.providers.email_status import verdict
from enrichment_dagster.providers.extract import Row
from enrichment_dagster.providers.lookup import by_email, object_of
from enrichment_dagster.providers.zerobounce_status import common_status

_ALL = "all"  # stands for the address where a whole batch failed


class ZeroBounceVerification(BulkLookup):
    """``zerobounce.verification``: the status of an address in the common enum."""

    provider = "zerobounce"
    purpose = "verification"
    gives = frozenset({"email_status"})
    bulk_size = 100

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
        return _answer(body)

    async def _ask_many(self, queries: Sequence[Query], timeout_seconds: float) -> Reply:
        path, batch = "/v2/validatebatch", [{"email_address": query.email, "ip_address": ""} for query in queries]
        return await self.client.request("POST", path, json={"email_batch": batch}, timeout_seconds=timeout_seconds)

    def _read_many(self, queries: Sequence[Query], reply: Reply) -> Sequence[Result]:
        """Find each query's verdict, or the reason why there is none, by the address."""
        body = object_of(reply)
        errors = _by_address(body.get("errors") or [], "email_address")
        if _ALL in errors:
            raise self._refused(str(errors[_ALL].get("error")), reply.status)
        verdicts = _by_address(rows_at(body, "email_batch"), "address")
        subjects = [by_email(query) or "" for query in queries]
        return [self._result(verdicts.get(key), errors.get(key), reply.status) for key in subjects]

    def _result(self, found: Row | None, problem: Row | None, http_status: int) -> Result:
        if found is not None:
            return read_row(_answer, found)
        return missing_row() if problem is None else self._refused(str(problem.get("error")), http_status)

    def _refused(self, message: str, http_status: int) -> ProviderError:
        """Return the error for an error body: it has no code, and one text stands for a bad key and for no credits."""
        reason = "unauthorized" if "key" in message.lower() or "credits" in message.lower() else "bad_request"
        return ProviderError(reason, self.client.show(message), transient=False, http_status=http_status)


def _answer(body: Row) -> Answer:
    """Return a row's verdict. An ``unknown`` is free: ZeroBounce does not count it against the credits."""
    answer = Answer((verdict(common_status(body)),))
    return replace(answer, units=0) if str(body["status"]).lower() == "unknown" else answer


def _by_address(rows: Any, key: str) -> dict[str, Row]:
    """Return the rows by the subject key of their address; an error of the whole batch by its own word."""
    named = [(row, row.get(key)) for row in objects_in(rows if isinstance(rows, list) else [])]
    return {
        address if address == _ALL else email_subject(address): row
        for row, address in named
        if isinstance(address, str)
    }


LOOKUPS = {"verification": ZeroBounceVerification}


def connect(clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
    """Open the client."""
    return clients.open(
        "zerobounce",
        base_url,
        error=ProviderError,
        params={"api_key": key},
        fields={"api_key": key},
        statuses={403: Rule("throttled", transient=True)},
    )
