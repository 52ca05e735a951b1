"""Apollo: its lookups and how it is reached. What they ask and read stands in the ``apollo_*`` modules."""

from __future__ import annotations

from pydantic import SecretStr

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, RemoteClients
from enrichment_dagster.providers.apollo_enrich import ApolloCompany, ApolloPerson
from enrichment_dagster.providers.apollo_news import ApolloNews
from enrichment_dagster.providers.apollo_people import ApolloContacts, ApolloExecutives
from enrichment_dagster.providers.apollo_phone import ApolloPhone

LOOKUPS = {
    "person": ApolloPerson,
    "company": ApolloCompany,
    "executives": ApolloExecutives,
    "contacts": ApolloContacts,
    "news": ApolloNews,
    "phone": ApolloPhone,
}


def connect(clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
    """Open the client: the key travels in ``x-api-key``."""
    return clients.open("apollo", base_url, error=ProviderError, headers={"x-api-key": key})
