"""Clearbit's persons and companies as JSON. Shape: the recorded response in hull-clearbit's tests."""

from typing import Any
from uuid import UUID

from enrichment_dagster.sandbox.subjects import Company, CompanyView, Person, PersonView
from enrichment_dagster.sandbox.vocabulary import Place

_INDEXED_AT = "2026-08-13T15:34:31.573Z"
_RANGES = (
    (10, "1-10"), (50, "11-50"), (250, "51-250"), (1000, "251-1K"), (5000, "1K-5K"), (10_000, "5K-10K"),
    (50_000, "10K-50K"), (100_000, "50K-100K"),
)  # fmt: skip
_NO_HANDLE: dict[str, str | None] = {"handle": None}


def _place_fields(place: Place | None) -> dict[str, Any]:
    return {
        "city": place.city if place else None,
        "state": place.state if place else None,
        "stateCode": place.state_code if place else None,
        "country": place.country if place else None,
        "countryCode": place.country_code if place else None,
        "lat": place.lat if place else None,
        "lng": place.lng if place else None,
    }


def person_body(person: Person, view: PersonView) -> dict[str, Any]:
    """A person as Clearbit sees them."""
    place = person.place if view.located else None
    company = person.company
    return {
        "id": str(UUID(int=int(person.key, 16))),
        "name": {
            "fullName": f"{person.first_name} {person.last_name}",
            "givenName": person.first_name,
            "familyName": person.last_name,
        },
        "email": person.email,
        "gender": None,
        "location": f"{place.city}, {place.state_code}, {place.country_code}" if place else None,
        "timeZone": place.time_zone if place else None,
        "utcOffset": place.utc_offset if place else None,
        "geo": _place_fields(place),
        "bio": None,
        "site": None,
        "avatar": None,
        "employment": {
            "domain": company.domain if company else None,
            "name": company.name if company else None,
            "title": view.title,
            "role": view.department.clearbit_role if view.department else None,
            "subRole": None,
            "seniority": view.level.clearbit if view.level else None,
        },
        "facebook": _NO_HANDLE,
        "github": _NO_HANDLE,
        "twitter": _NO_HANDLE,
        "linkedin": {"handle": view.linkedin},
        "gravatar": {"handle": None, "urls": None, "avatar": None, "avatars": []},
        "fuzzy": False,
        "emailProvider": not person.is_business,
        "indexedAt": _INDEXED_AT,
    }


def company_body(company: Company, view: CompanyView) -> dict[str, Any]:
    """A company as Clearbit sees it."""
    place = company.place
    street = f"{company.street_number} {company.street_name}"
    industry = view.industry
    return {
        "id": str(UUID(int=int(company.key, 16))),
        "name": company.name,
        "legalName": company.legal_name,
        "domain": company.domain,
        "domainAliases": [],
        "url": f"http://www.{company.domain}",
        "site": {"phoneNumbers": [view.phone] if view.phone else [], "emailAddresses": []},
        "category": {
            "sector": industry.sector if industry else None,
            "industryGroup": industry.group if industry else None,
            "industry": industry.industry if industry else None,
            "subIndustry": industry.sub_industry if industry else None,
        },
        "tags": ["B2B"] if industry else [],
        "description": f"{company.name} of {place.city}.",
        "foundedYear": view.founded_year,
        "location": f"{street}, {place.city}, {place.state_code} {place.postal_code}, {place.country_code}",
        "timeZone": place.time_zone,
        "utcOffset": place.utc_offset,
        "geo": {
            "streetNumber": str(company.street_number),
            "streetName": company.street_name,
            "subPremise": None,
            "postalCode": place.postal_code,
            **_place_fields(place),
        },
        "logo": None,
        "facebook": _NO_HANDLE,
        "linkedin": {"handle": view.linkedin},
        "twitter": _NO_HANDLE,
        "crunchbase": _NO_HANDLE,
        "emailProvider": False,
        "type": "private",
        "ticker": None,
        "phone": view.phone,
        "metrics": {
            "employees": view.employees,
            "employeesRange": _employees_range(view.employees),
            "marketCap": None,
            "raised": None,
            "annualRevenue": view.revenue,
        },
        "indexedAt": _INDEXED_AT,
    }


def _employees_range(employees: int | None) -> str | None:
    if employees is None:
        return None
    return next((label for limit, label in _RANGES if employees <= limit), "100K+")
