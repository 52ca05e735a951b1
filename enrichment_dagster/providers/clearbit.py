"""Clearbit (classic): combined/find, people/find and companies/find.

Source: the official clients (clearbit-ruby, clearbit-python), a recorded reply, the help centre on rate limits. 404 is
a miss; 202 is a lookup that goes on in the background: the same call is made again. In combined, either of person and
company may be null. Only the company may have a phone number. Companies have a host of their own.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import SecretStr

from enrichment_dagster.domain.quota import Quota
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, RemoteClients, Reply
from enrichment_dagster.ports import Answer, Pending, Query, RawValue
from enrichment_dagster.providers.clearbit_wire import COMPANY_FIELDS, PERSON_FIELDS, company_values, person_values
from enrichment_dagster.providers.extract import Row
from enrichment_dagster.providers.headers import count_of, quota_of
from enrichment_dagster.providers.lookup import VendorLookup, by_domain, by_email, object_at, object_of

_OK, _PENDING, _MISS = 200, 202, 404
_POLL_SECONDS = 5.0
_PERSON_HOST, _COMPANY_HOST = "https://person.clearbit.com", "https://company.clearbit.com"


class ClearbitLookup(VendorLookup):
    """Any lookup of Clearbit's."""

    provider = "clearbit"
    path: ClassVar[str]

    def quota(self, reply: Reply) -> Quota | None:
        """Return what is left of the minute."""
        limit, left = reply.headers.get("x-ratelimit-limit"), reply.headers.get("x-ratelimit-remaining")
        return quota_of(count_of(limit), count_of(left), 60.0)

    def subject(self, query: Query) -> str | None:
        """Return the key of the person's e-mail."""
        return by_email(query)

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        return await self._find({"email": query.email or ""}, timeout_seconds)

    async def _find(self, params: dict[str, str], timeout_seconds: float) -> Reply:
        accept = (_OK, _PENDING, _MISS)
        return await self.client.request(
            "GET", self.path, params=params, timeout_seconds=timeout_seconds, accept=accept
        )

    def _read(self, reply: Reply) -> Answer | Pending:
        if reply.status == _PENDING:
            return Pending("", self.client.wait_of(reply) or _POLL_SECONDS, reply.status)
        values = () if reply.status == _MISS else self._values(object_of(reply))
        return Answer(values, reply.headers.get("x-request-id", ""), reply.status)

    def _values(self, body: Row) -> tuple[RawValue, ...]:
        """Return the values of a record that was found."""
        return person_values(body)


class ClearbitCombined(ClearbitLookup):
    """``clearbit.combined``: a person and their company by e-mail."""

    purpose = "combined"
    gives = PERSON_FIELDS | COMPANY_FIELDS
    path = "/v2/combined/find"

    def _values(self, body: Row) -> tuple[RawValue, ...]:
        return person_values(object_at(body, "person"), object_at(body, "company"))


class ClearbitPerson(ClearbitLookup):
    """``clearbit.person``: a person by e-mail."""

    purpose = "person"
    gives = PERSON_FIELDS
    path = "/v2/people/find"


class ClearbitCompany(ClearbitLookup):
    """``clearbit.company``: a company by its domain."""

    purpose = "company"
    gives = COMPANY_FIELDS
    path = "/v2/companies/find"

    def subject(self, query: Query) -> str | None:
        """Return the key of the company's domain."""
        return by_domain(query)

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        return await self._find({"domain": query.domain or ""}, timeout_seconds)

    def _values(self, body: Row) -> tuple[RawValue, ...]:
        return company_values(body)


LOOKUPS = {"combined": ClearbitCombined, "person": ClearbitPerson, "company": ClearbitCompany}


def connect(clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
    """Open the client: the key is a bearer token."""
    bearer = SecretStr(f"Bearer {key.get_secret_value()}")
    return clients.open("clearbit", base_url, error=ProviderError, headers={"authorization": bearer})


def connect_companies(clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
    """Open the client of the companies: on their own host, unless the provider was moved elsewhere altogether."""
    return connect(clients, _COMPANY_HOST if base_url == _PERSON_HOST else base_url, key)


APART = {"company": connect_companies}
