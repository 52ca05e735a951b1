"""Apollo: people/match and organizations/enrich.

Source: Apollo's OpenAPI; Apollo's own CLI (apolloio/apollo-io-cli) sends people/match a JSON body. A reply 200 without
a person or organization is a miss: Apollo has no 404 for it. Personal e-mails and phone numbers are never revealed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, RemoteClients, Reply
from enrichment_dagster.ports import Answer, Query, RawValue
from enrichment_dagster.providers.extract import Paths, extract, first_of_each
from enrichment_dagster.providers.lookup import VendorLookup, by_domain, by_email, object_at, object_of

_PERSON: Paths = {
    "first_name": "first_name",
    "last_name": "last_name",
    "title": "title",
    "seniority": "seniority",
    "city": "city",
    "state": "state",
    "country": "country",
    "linkedin_url": "linkedin_url",
    "twitter_url": "twitter_url",
}
_ORGANIZATION: Paths = {
    "name": "company_name",
    "primary_domain": "company_domain",
    "website_url": "company_domain",
    "industry": "industry",
    "estimated_num_employees": "employees",
    "annual_revenue": "annual_revenue",
    "phone": "company_phone",
    "primary_phone.number": "company_phone",
    "founded_year": "founded_year",
    "city": "company_city",
    "state": "company_state",
    "country": "company_country",
    "linkedin_url": "company_linkedin_url",
    "technology_names": "tech_stack",
}

# Estimates of ours: Apollo gives no figure per field. It matches people by e-mail exactly and says how sure it is of
# an address in ``email_status``; company data is collected over many sources and ages.
_PERSON_CONFIDENCE, _COMPANY_CONFIDENCE, _VERIFIED_EMAIL, _OTHER_EMAIL = 0.9, 0.85, 0.95, 0.6
_LOCKED = "email_not_unlocked@"  # stands in place of an address that the account has not paid for


class ApolloPerson(VendorLookup):
    """``apollo.person``: a person by e-mail and domain, with their organization."""

    provider = "apollo"
    purpose = "person"
    gives = frozenset({"email", *_PERSON.values(), *_ORGANIZATION.values()})

    def subject(self, query: Query) -> str | None:
        """Return the key of the person's e-mail."""
        return by_email(query)

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        body = {"email": query.email, "domain": query.domain, "reveal_personal_emails": False}
        known = {name: value for name, value in body.items() if value is not None}
        return await self.client.request("POST", "/api/v1/people/match", json=known, timeout_seconds=timeout_seconds)

    def _read(self, reply: Reply) -> Answer:
        body = object_of(reply)
        person = object_at(body, "person") or {}
        values = first_of_each(
            _email(person),
            extract(person, _PERSON, _PERSON_CONFIDENCE),
            extract(person.get("organization"), _ORGANIZATION, _COMPANY_CONFIDENCE),
        )
        return Answer(values, _request_id(body), reply.status)


class ApolloCompany(VendorLookup):
    """``apollo.company``: an organization by its domain."""

    provider = "apollo"
    purpose = "company"
    gives = frozenset(_ORGANIZATION.values())

    def subject(self, query: Query) -> str | None:
        """Return the key of the company's domain."""
        return by_domain(query)

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        path, params = "/api/v1/organizations/enrich", {"domain": query.domain or ""}
        return await self.client.request("GET", path, params=params, timeout_seconds=timeout_seconds)

    def _read(self, reply: Reply) -> Answer:
        body = object_of(reply)
        organization = object_at(body, "organization")
        return Answer(extract(organization, _ORGANIZATION, _COMPANY_CONFIDENCE), _request_id(body), reply.status)


def _email(person: Mapping[str, Any]) -> tuple[RawValue, ...]:
    email, status = person.get("email"), person.get("email_status")
    if email in (None, "") or (isinstance(email, str) and email.lower().startswith(_LOCKED)):
        return ()
    return (RawValue("email", email, _VERIFIED_EMAIL if status == "verified" else _OTHER_EMAIL),)


def _request_id(body: Mapping[str, Any]) -> str:
    """Return the id as text: it is a signed 64-bit number here and a string in Apollo's webhooks."""
    return str(body.get("request_id") or "")


LOOKUPS = {"person": ApolloPerson, "company": ApolloCompany}


def connect(clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
    """Open the client: the key travels in ``x-api-key``."""
    return clients.open("apollo", base_url, error=ProviderError, headers={"x-api-key": key})
