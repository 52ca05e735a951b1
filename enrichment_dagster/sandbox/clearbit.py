"""Clearbit (classic): combined/find.

Shape: the recorded response in hull-clearbit's tests and the official Ruby and Python clients. Person and company
are independently null; when both are unknown the answer is 404.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Any
from uuid import UUID

import orjson

from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.subjects import Company, CompanyView, Person, PersonView
from enrichment_dagster.sandbox.vocabulary import Place
from enrichment_dagster.sandbox.windows import FixedWindow
from enrichment_dagster.sandbox.wire import (
    JSON_TYPE,
    Endpoint,
    Header,
    Request,
    Response,
    bearer,
    json_response,
    retry_after,
)
from enrichment_dagster.sandbox.world import World

PER_MINUTE = 600
_INDEXED_AT = "2026-08-13T15:34:31.573Z"
_RANGES = (
    (10, "1-10"), (50, "11-50"), (250, "51-250"), (1000, "251-1K"), (5000, "1K-5K"), (10_000, "5K-10K"),
    (50_000, "10K-50K"), (100_000, "50K-100K"),
)  # fmt: skip
_NO_HANDLE: dict[str, str | None] = {"handle": None}


class Clearbit:
    """Answers Clearbit's combined look-up from the world."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self._config = config
        self._world = world
        self._minute = FixedWindow(60)
        self._ready: dict[str, bytes] = {}

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        return {
            ("GET", "/clearbit/v2/combined/find"): Endpoint(
                "clearbit.combined_find", self.find, _email_subject, _key, _error, self._throttled
            )
        }

    def find(self, request: Request) -> Response:
        """GET combined/find?email=."""
        key = _key(request)
        if not self._config.accepts_key(key):
            return _failure(401, "auth_invalid", "Invalid API key provided.")
        email = request.query.get("email", "").strip().lower()
        local, at, domain = email.rpartition("@")
        if not (at and local and "." in domain):
            return _failure(422, "email_invalid", "Invalid email.")
        headers = self._headers(key)
        person, company = self._known(email, domain)
        if person is None and company is None:
            return _failure(404, "unknown_record", "Unknown person.", headers)
        body = self._ready.get(email)
        if body is None:
            body = self._ready[email] = orjson.dumps({
                "person": _person_body(person, person.clearbit) if person and person.clearbit else None,
                "company": _company_body(company, company.clearbit) if company and company.clearbit else None,
            })  # fmt: skip
        return Response(200, body, headers, billed=(email,))

    def _known(self, email: str, domain: str) -> tuple[Person | None, Company | None]:
        person = self._world.person_by_email(email)
        company = self._world.company_by_domain(domain)
        return (
            person if person and person.clearbit_knows else None,
            company if company and company.clearbit_knows else None,
        )

    def _headers(self, key: str) -> tuple[Header, ...]:
        return (JSON_TYPE, (b"x-api-version", b"2019-12-19"), *self._rate_headers(self._minute.add(key)))

    def _rate_headers(self, used: int) -> tuple[Header, ...]:
        return (
            (b"x-ratelimit-limit", b"%d" % PER_MINUTE),
            (b"x-ratelimit-remaining", b"%d" % max(0, PER_MINUTE - used)),
            (b"x-ratelimit-reset", b"%d" % self._minute.seconds_left()),
        )

    def _throttled(self, _name: str, seconds: float) -> Response:
        headers = (JSON_TYPE, retry_after(seconds), *self._rate_headers(PER_MINUTE))
        return _failure(429, "rate_limit", "Rate limit exceeded.", headers)


def _key(request: Request) -> str:
    """The key of `Bearer key` or of `Basic base64(key:)`."""
    scheme, _, value = request.header(b"authorization").partition(" ")
    if scheme.lower() != "basic":
        return bearer(request)
    try:
        return b64decode(value).decode().partition(":")[0]
    except (Base64Error, UnicodeDecodeError):
        return ""


def _email_subject(request: Request) -> tuple[str, ...]:
    return (request.query.get("email", "").strip().lower(),)


def _failure(status: int, kind: str, message: str, headers: tuple[Header, ...] = (JSON_TYPE,)) -> Response:
    return Response(status, orjson.dumps({"error": {"type": kind, "message": message}}), headers)


def _error(status: int) -> Response:
    return json_response(status, {"error": {"type": "api_error", "message": "Something went wrong."}})


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


def _person_body(person: Person, view: PersonView) -> dict[str, Any]:
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


def _company_body(company: Company, view: CompanyView) -> dict[str, Any]:
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
