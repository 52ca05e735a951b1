"""Clearbit's people and companies in our fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enrichment_dagster.ports import RawValue
from enrichment_dagster.providers.extract import Paths, extract, first_of_each, value_at

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

COMPANY_FIELDS = frozenset({*_COMPANY.values(), "company_linkedin_url"})
PERSON_FIELDS = frozenset({*_PERSON.values(), *_EMPLOYMENT.values(), *(field for field, _ in _PERSON_HANDLES.values())})


def person_values(person: Mapping[str, Any] | None, company: Mapping[str, Any] | None = None) -> tuple[RawValue, ...]:
    """Return what Clearbit knows of a person; of their company the record says more than the person's employment."""
    return first_of_each(_person(person), company_values(company), extract(person, _EMPLOYMENT, _EMPLOYMENT_CONFIDENCE))


def company_values(company: Mapping[str, Any] | None) -> tuple[RawValue, ...]:
    """Return what Clearbit knows of a company."""
    return extract(company, _COMPANY, _COMPANY_CONFIDENCE) + _profiles(company, _COMPANY_HANDLES, _COMPANY_CONFIDENCE)


def _person(person: Mapping[str, Any] | None) -> tuple[RawValue, ...]:
    confidence = _SURE if person is not None and person.get("fuzzy", False) is False else _FUZZY
    return extract(person, _PERSON, confidence) + _profiles(person, _PERSON_HANDLES, confidence)


def _profiles(source: Any, handles: _Handles, confidence: float) -> tuple[RawValue, ...]:
    """Return the URLs of profiles, of which Clearbit gives the handle; one of another type is passed on as it is."""
    found = [(field, site, value_at(source, path)) for path, (field, site) in handles.items()]
    return tuple(
        RawValue(field, site + handle.lstrip("/@") if isinstance(handle, str) else handle, confidence)
        for field, site, handle in found
        if handle
    )
