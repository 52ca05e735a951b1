"""A provider without Python: ``enrichment.yaml`` describes its requests and where our fields stand in its answers."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from pydantic import SecretStr

from enrichment_dagster.domain.config import AuthConfig, RequestConfig
from enrichment_dagster.domain.template import filled
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, RemoteClients
from enrichment_dagster.ports import Answer, Query
from enrichment_dagster.providers.expressions import read_id, read_values
from enrichment_dagster.providers.lookup import HttpLookup, by_domain, by_email, malformed

_OK = range(200, 300)


@dataclass(frozen=True)
class Description:
    """What the configuration says of one operation: whose it is, how it is asked, what tells its calls apart."""

    provider: str
    purpose: str
    request: RequestConfig
    request_id: str | None = None  # JMESPath


@dataclass(frozen=True)
class DeclarativeLookup(HttpLookup):
    """An operation that the configuration describes."""

    description: Description

    @property
    def provider(self) -> str:
        """Return the provider's name in the configuration."""
        return self.description.provider

    @property
    def purpose(self) -> str:
        """Return the lookup's name in the configuration."""
        return self.description.purpose

    @property
    def gives(self) -> frozenset[str]:
        """Return the fields that the configuration maps."""
        return frozenset(self.terms.values)

    def subject(self, query: Query) -> str | None:
        """Return the key of the address or domain; None as well where a placeholder of the request has no value."""
        request = self.description.request
        if not request.placeholders <= _values(query).keys():
            return None
        return by_email(query) if request.subject == "email" else by_domain(query)

    async def fetch(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Answer:
        """Make the described call.

        Raises:
            ProviderError: no reply, a status that is no answer, or a body of another shape than described.
        """
        del callback_url
        self.require_subject(query)
        request, values = self.description.request, _values(query)
        reply = await self.client.request(
            request.method,
            filled(request.path, values, _segment),
            params=filled(request.query, values),
            json=filled(request.body, values),
            timeout_seconds=timeout_seconds,
            accept=frozenset({*_OK, *request.miss_statuses}),
        )
        request_id = read_id(reply.body, self.description.request_id)
        if reply.status in request.miss_statuses:
            return Answer((), request_id, reply.status)
        if not isinstance(reply.body, dict | list):
            raise malformed("the reply is neither an object nor a list")
        found = read_values(reply.body, self.terms.values, self.terms.confidence)
        return self.unless_error(Answer(found, request_id, reply.status), reply)


def _values(query: Query) -> dict[str, str]:
    """Return the placeholders that have a value."""
    values = {
        "email": query.email,
        "domain": query.domain,
        "company_name": query.company_name,
        "first_name": query.first_name,
        "last_name": query.last_name,
    }
    return {name: value for name, value in values.items() if value and value.strip()}


def _segment(value: str) -> str:
    """Return the value as a part of one path segment. The client refuses ``..``, which no encoding makes harmless."""
    return quote(value, safe="")


def connect(clients: RemoteClients, system: str, base_url: str, key: SecretStr, auth: AuthConfig) -> RemoteClient:
    """Open the client: the key travels where the configuration says."""
    if auth.kind == "query":
        return clients.open(system, base_url, error=ProviderError, params={auth.name: key})
    if auth.kind == "bearer":
        bearer = SecretStr(f"Bearer {key.get_secret_value()}")
        return clients.open(system, base_url, error=ProviderError, headers={"authorization": bearer})
    return clients.open(system, base_url, error=ProviderError, headers={auth.name: key})
