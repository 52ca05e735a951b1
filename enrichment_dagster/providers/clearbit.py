"""Clearbit (classic): combined/find, a person and their company by e-mail.

Source: the official clients (clearbit-ruby, clearbit-python), a recorded reply. 404 is a miss, 202 a lookup that goes
on in the background; either of person and company may be null. Only the company may have a phone number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, RemoteClients, Reply
from enrichment_dagster.ports import Answer, Query, RawValue
from enrichment_dagster.providers.extract import Paths, extract, first_of_each, value_at
from enrichment_dagster.providers.lookup import VendorLookup, by_email, object_at, object_of

_PERSON: Paths = {
    "email": "email",
    "name.givenName": "first_name",
    "name.familyName": "last_name",
    "employment.title": "title",
    "employment.seniority": "seniority",
    "geo.city": "city",
    "geo.state": "state",
    "geo.country": "country",
}
_EMPLOYMENT: Paths = {"employment.name": "company_name", "employment.domain": "company_domain"}
_COMPANY: Paths = {
    "name": "company_name",
    "domain": "company_domain",
    "category.industry": "industry",
    "metrics.employees": "employees",
    "metrics.annualRevenue": "annual_revenue",
    "site.phoneNumbers.0": "company_phone",
    "phone": "company_phone",
    "foundedYear": "founded_year",
    "geo.city": "company_city",
    "geo.state": "company_state",
    "geo.country": "company_country",
    "tech": "tech_stack",
}
_Handles = Mapping[str, tuple[str, str]]  # path of a handle -> our field and the site that it stands for
_PERSON_HANDLES: _Handles = {
    "linkedin.handle": ("linkedin_url", "https://www.linkedin.com/"),  # "in/dana-reyes"
    "twitter.handle": ("twitter_url", "https://x.com/"),
}
_COMPANY_HANDLES: _Handles = {"linkedin.handle": ("company_linkedin_url", "https://www.linkedin.com/")}

# Estimates of ours. ``fuzzy`` is Clearbit's own word for a person that was found over something else than the e-mail.
_SURE, _FUZZY, _COMPANY_CONFIDENCE, _EMPLOYMENT_CONFIDENCE = 0.9, 0.6, 0.85, 0.6
_OK, _PENDING, _MISS = 200, 202, 404


class ClearbitCombined(VendorLookup):
    """``clearbit.combined``: a person and their company by e-mail."""

    provider = "clearbit"
    purpose = "combined"
    gives = frozenset(
        {*_PERSON.values(), *_COMPANY.values(), *(f for f, _ in _PERSON_HANDLES.values()), "company_linkedin_url"}
    )

    def subject(self, query: Query) -> str | None:
        """Return the key of the person's e-mail."""
        return by_email(query)

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        return await self.client.request(
            "GET",
            "/v2/combined/find",
            timeout_seconds=timeout_seconds,
            params={"email": query.email or ""},
            accept=(_OK, _PENDING, _MISS),
        )

    def _read(self, reply: Reply) -> Answer:
        if reply.status == _PENDING:
            wait = self.client.wait_of(reply)
            raise ProviderError("pending", transient=True, http_status=_PENDING, retry_after_seconds=wait)
        request_id = reply.headers.get("x-request-id", "")
        if reply.status == _MISS:
            return Answer((), request_id, _MISS)
        body = object_of(reply)
        person, company = object_at(body, "person"), object_at(body, "company")
        return Answer(first_of_each(_person(person), _company(company), _employment(person)), request_id, reply.status)


def _person(person: Mapping[str, Any] | None) -> tuple[RawValue, ...]:
    confidence = _SURE if person is not None and person.get("fuzzy", False) is False else _FUZZY
    return extract(person, _PERSON, confidence) + _profiles(person, _PERSON_HANDLES, confidence)


def _company(company: Mapping[str, Any] | None) -> tuple[RawValue, ...]:
    return extract(company, _COMPANY, _COMPANY_CONFIDENCE) + _profiles(company, _COMPANY_HANDLES, _COMPANY_CONFIDENCE)


def _employment(person: Mapping[str, Any] | None) -> tuple[RawValue, ...]:
    return extract(person, _EMPLOYMENT, _EMPLOYMENT_CONFIDENCE)


def _profiles(source: Any, handles: _Handles, confidence: float) -> tuple[RawValue, ...]:
    """Return the URLs of profiles, of which Clearbit gives the handle; one of another type is passed on as it is."""
    found = [(field, site, value_at(source, path)) for path, (field, site) in handles.items()]
    return tuple(
        RawValue(field, site + handle.lstrip("/@") if isinstance(handle, str) else handle, confidence)
        for field, site, handle in found
        if handle
    )


LOOKUPS = {"combined": ClearbitCombined}


def connect(clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
    """Open the client: the key is a bearer token."""
    bearer = SecretStr(f"Bearer {key.get_secret_value()}")
    return clients.open("clearbit", base_url, error=ProviderError, headers={"authorization": bearer})
