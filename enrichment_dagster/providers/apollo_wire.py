"""What Apollo's calls share: its people and organizations in our fields, request ids, rate headers.

Source: Apollo's OpenAPI, its rate-limit page. Personal e-mails are never revealed, phones only by ``apollo.phone``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enrichment_dagster.domain.quota import Quota
from enrichment_dagster.http import Reply
from enrichment_dagster.ports import RawValue
from enrichment_dagster.providers.extract import Paths, extract, first_of_each
from enrichment_dagster.providers.headers import count_of, quota_of
from enrichment_dagster.providers.lookup import VendorLookup

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
    "total_funding": "total_funding",
    "latest_funding_stage": "funding_stage",
    "phone": "company_phone",
    "primary_phone.number": "company_phone",
    "founded_year": "founded_year",
    "city": "company_city",
    "state": "company_state",
    "country": "company_country",
    "linkedin_url": "company_linkedin_url",
    "technology_names": "tech_stack",
}
ORGANIZATION_FIELDS = frozenset(_ORGANIZATION.values())
PERSON_FIELDS = frozenset({"email", *_PERSON.values()}) | ORGANIZATION_FIELDS
ORGANIZATION_ID, PERSON_ID = "apollo.organization", "apollo.person"

# Estimates of ours: Apollo gives no figure per field. It matches people by e-mail exactly and says how sure it is of
# an address in ``email_status``; company data is collected over many sources and ages.
PERSON_CONFIDENCE, COMPANY_CONFIDENCE, _VERIFIED_EMAIL, _OTHER_EMAIL = 0.9, 0.85, 0.95, 0.6
_LOCKED = "email_not_unlocked@"  # stands in place of an address that the account has not paid for


class ApolloLookup(VendorLookup):
    """Any lookup of Apollo's."""

    provider = "apollo"

    def quota(self, reply: Reply) -> Quota | None:
        """Return what is left of the minute; an empty header means that this window is not limited."""
        limit, left = reply.headers.get("x-rate-limit-minute"), reply.headers.get("x-minute-requests-left")
        return quota_of(count_of(limit), count_of(left), 60.0)


def person_values(person: Mapping[str, Any]) -> tuple[RawValue, ...]:
    """Return the values of a person and of their organization."""
    email = email_of(person)
    confidence = _VERIFIED_EMAIL if person.get("email_status") == "verified" else _OTHER_EMAIL
    return first_of_each(
        (RawValue("email", email, confidence),) if email else (),
        extract(person, _PERSON, PERSON_CONFIDENCE),
        organization_values(person.get("organization")),
    )


def organization_values(organization: Any) -> tuple[RawValue, ...]:
    """Return the values of an organization."""
    return extract(organization, _ORGANIZATION, COMPANY_CONFIDENCE)


def email_of(person: Mapping[str, Any]) -> Any:
    """Return the person's address as Apollo sent it; None in place of a locked one."""
    email = person.get("email")
    return None if isinstance(email, str) and email.lower().startswith(_LOCKED) else email


def ids_of(organization: Any, person: Any = None) -> dict[str, str]:
    """Return Apollo's ids of an organization and a person, as its other lookups need them."""
    named = {ORGANIZATION_ID: id_of(organization), PERSON_ID: id_of(person)}
    return {name: found for name, found in named.items() if found}


def id_of(item: Any) -> str:
    """Return the id of a person or organization; empty where there is none."""
    found = item.get("id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else ""


def request_id_of(body: Mapping[str, Any]) -> str:
    """Return the id as text: it is a signed 64-bit number here and a string in Apollo's webhooks."""
    found = body.get("request_id")
    return str(found) if isinstance(found, int | str) and not isinstance(found, bool) else ""
