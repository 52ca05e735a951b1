"""Clay: a row goes to a table's webhook; when the table has worked on it, it calls back with what it found.

Source: Clay's university pages; the header's name from clients of the community. Any 2xx means that the row was taken,
its body says nothing. Clay signs nothing: the unguessable callback URL, which the table's HTTP column has to call, is
the guard. A webhook takes 50,000 rows in its life and then drops them silently: ``limits.lifetime_calls`` counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import SecretStr

from enrichment_dagster.domain.config import ProviderConfig
from enrichment_dagster.domain.config_checks import Problem
from enrichment_dagster.domain.fields import FIELDS, Level
from enrichment_dagster.domain.keys import idempotency_key
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, RemoteClients
from enrichment_dagster.ports import Answer, Pending, Query
from enrichment_dagster.providers.expressions import read_values
from enrichment_dagster.providers.lookup import HttpLookup, by_domain, by_email, malformed

_MAX_ROW_BYTES = 100_000


class ClayTable(HttpLookup):
    """``clay.table``: whatever the table finds out; the configuration maps its columns to our fields."""

    provider = "clay"
    purpose = "table"
    calls_back = True
    slow = True  # minutes, as a rule

    @property
    def gives(self) -> frozenset[str]:
        """Return the fields that the configuration maps."""
        return frozenset(self.terms.values)

    def subject(self, query: Query) -> str | None:
        """Return the key of the person's address, or of the domain where the table is about companies only."""
        return by_email(query) if self._is_personal else by_domain(query)

    async def fetch(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Pending:
        """Hand the row over; its answer comes to the callback URL.

        Raises:
            ProviderError: the row was not taken, is too large to be sent, or could not be answered.
        """
        self.require_subject(query)
        row = self._row(query, callback_url)
        if not callback_url:
            raise ProviderError("no_callback_url", transient=False, maybe_sent=False)
        if len(orjson.dumps(row)) > _MAX_ROW_BYTES:
            raise ProviderError("row_too_large", transient=False, maybe_sent=False)
        reply = await self.client.request("POST", "", json=row, timeout_seconds=timeout_seconds)
        return Pending(http_status=reply.status)

    async def poll(self, request_id: str, query: Query, timeout_seconds: float) -> Answer | Pending:
        """Refuse: a table can't be asked, and the same row again would be a second one.

        Raises:
            ProviderError: always.
        """
        del request_id, query, timeout_seconds
        raise ProviderError("no_poll", transient=False, maybe_sent=False)

    def read_callback(self, body: Any) -> Answer:
        """Read the columns that the table's HTTP column sends.

        Raises:
            ProviderError: the body is not an object, or not one in which the expressions can find anything.
        """
        if not isinstance(body, dict):
            raise malformed("the callback is not an object")
        return Answer(read_values(body, self.terms.values, self.terms.confidence))

    @property
    def _is_personal(self) -> bool:
        return any(FIELDS[name].level is Level.CONTACT for name in self.gives)

    def _row(self, query: Query, callback_url: str) -> Mapping[str, str]:
        """Return the columns that are known; a table about companies is told nothing of the person."""
        person = {"email": query.email, "first_name": query.first_name, "last_name": query.last_name}
        columns = {
            **(person if self._is_personal else {}),
            "company_domain": query.domain,
            "company_name": query.company_name,
            "source_id": idempotency_key(self.name, self.subject(query) or ""),  # names the row without naming a person
            "callback_url": callback_url,
        }
        return {name: value for name, value in columns.items() if value}


LOOKUPS = {"table": ClayTable}


def problems(config: ProviderConfig) -> list[Problem]:
    """Return what the configuration lacks: a table's columns are its owner's, so they have to be mapped."""
    missing = [name for name, lookup in config.lookups.items() if not lookup.values]
    return [
        (("lookups", name, "values"), "is missing: name the fields and the columns they stand in") for name in missing
    ]


def connect(clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
    """Open the client: the base URL is the table's whole webhook URL, the token travels in a header."""
    headers = {"x-clay-webhook-auth": key}
    return clients.open("clay", base_url, error=ProviderError, headers=headers, body_counts=False)
