"""Apollo: people/match and organizations/enrich.

Shapes and errors: Apollo OpenAPI. Rate headers: Apollo's rate-limit page. The body of a miss is not documented;
this one answers `person: null`, as clients report.
"""

from typing import Any
from zlib import crc32

import orjson

from enrichment_dagster.sandbox import vocabulary as words
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.subjects import Company, CompanyView, Person, PersonView
from enrichment_dagster.sandbox.windows import FixedWindow
from enrichment_dagster.sandbox.wire import (
    JSON_TYPE,
    Endpoint,
    Header,
    Request,
    Response,
    json_response,
    retry_after,
    text_response,
)
from enrichment_dagster.sandbox.world import World

PER_MINUTE = 1000
_PEOPLE_PATH = "api/v1/people/match"
_ORGANIZATION_PATH = "api/v1/organizations/enrich"


class Apollo:
    """Answers Apollo's enrichment calls from the world."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self._config = config
        self._world = world
        self._minute = FixedWindow(60)
        self._people: dict[int, bytes] = {}
        self._organizations: dict[int, bytes] = {}
        self._by_name = {
            (person.first_name.lower(), person.last_name.lower(), person.domain): person for person in world.all_people
        }

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        return {
            ("POST", "/apollo/" + _PEOPLE_PATH): Endpoint(
                "apollo.people_match", self.match, _match_subjects, _key, _error, _throttled(_PEOPLE_PATH)
            ),
            ("GET", "/apollo/" + _ORGANIZATION_PATH): Endpoint(
                "apollo.organization_enrich", self.organization, _domain_subject, _key, _error,
                _throttled(_ORGANIZATION_PATH),
            ),
        }  # fmt: skip

    def match(self, request: Request) -> Response:
        """POST people/match: a miss is 200 as well."""
        if not self._config.accepts_key(_key(request)):
            return _unauthorized()
        given = _inputs(request)
        person = self._find(given)
        if person is None and not any(given.get(name) for name in _IDENTIFYING):
            return json_response(422, {"error": "Please provide at least one identifying parameter."})
        headers = self._headers("match", _key(request))
        request_id = _request_id(given)
        if person is None or person.apollo is None:
            return Response(200, b'{"person":null,"request_id":%d}' % request_id, headers)
        body = b'{"person":%b,"request_id":%d}' % (self._person_bytes(person, person.apollo), request_id)
        return Response(200, body, headers, billed=(person.email,))

    def organization(self, request: Request) -> Response:
        """GET organizations/enrich?domain=."""
        if not self._config.accepts_key(_key(request)):
            return _unauthorized()
        domain = request.query.get("domain", "")
        if not domain:
            return json_response(422, {"error": "Please provide a domain."})
        headers = self._headers("organization", _key(request))
        company = self._world.company_by_domain(domain)
        if company is None or company.apollo is None:
            return Response(200, b'{"organization":null}', headers)
        return Response(200, b'{"organization":%b}' % self._company_bytes(company), headers, billed=(company.domain,))

    def _find(self, given: dict[str, Any]) -> Person | None:
        email = given.get("email")
        if isinstance(email, str) and email:
            return self._world.person_by_email(email)
        names = tuple(str(given.get(name) or "").lower() for name in ("first_name", "last_name", "domain"))
        return self._by_name.get((names[0], names[1], names[2]))

    def _person_bytes(self, person: Person, view: PersonView) -> bytes:
        ready = self._people.get(person.index)
        if ready is None:
            organization = None
            if person.company is not None and person.company.apollo is not None:
                organization = orjson.Fragment(self._company_bytes(person.company))
            ready = self._people[person.index] = orjson.dumps(_person_body(person, view, organization))
        return ready

    def _company_bytes(self, company: Company) -> bytes:
        ready = self._organizations.get(company.index)
        if ready is None and company.apollo is not None:
            ready = self._organizations[company.index] = orjson.dumps(_company_body(company, company.apollo))
        return ready or b"null"

    def _headers(self, call: str, key: str) -> tuple[Header, ...]:
        used = self._minute.add(f"{call}:{key}")
        return (
            JSON_TYPE,
            (b"x-rate-limit-minute", b"%d" % PER_MINUTE),
            (b"x-minute-usage", b"%d" % used),
            (b"x-minute-requests-left", b"%d" % max(0, PER_MINUTE - used)),
            *_UNLIMITED_WINDOWS,
        )


# An unlimited window is an empty header value (Apollo's rate-limit page).
_UNLIMITED_WINDOWS: tuple[Header, ...] = tuple(
    (name, b"")
    for name in (
        b"x-rate-limit-hourly", b"x-hourly-usage", b"x-hourly-requests-left",
        b"x-rate-limit-24-hour", b"x-24-hour-usage", b"x-24-hour-requests-left",
    )
)  # fmt: skip
_IDENTIFYING = ("email", "hashed_email", "id", "linkedin_url", "name", "first_name", "organization_name", "domain")


def _key(request: Request) -> str:
    return request.header(b"x-api-key")


def _inputs(request: Request) -> dict[str, Any]:
    """The OpenAPI calls them query parameters, Apollo's own CLI sends a JSON body: both are read."""
    return {**request.query, **request.json_object}


def _match_subjects(request: Request) -> tuple[str, ...]:
    given = _inputs(request)
    email = given.get("email")
    if email:
        return (str(email).lower(),)
    return (" ".join(str(given.get(name) or "") for name in ("first_name", "last_name", "domain")).lower().strip(),)


def _domain_subject(request: Request) -> tuple[str, ...]:
    return (request.query.get("domain", "").lower(),)


def _request_id(given: dict[str, Any]) -> int:
    """A signed 64-bit number, negative as Apollo's own examples often are."""
    return -(crc32(repr(sorted(given.items())).encode()) * 1_639_242_011 + 1)


def _unauthorized() -> Response:
    return text_response(401, "Invalid access credentials.")


def _error(status: int) -> Response:
    return json_response(status, {"error": "The server could not handle the request."})


def _throttled(path: str) -> Any:
    body = orjson.dumps(
        {
            "message": f"The maximum number of api calls allowed for {path} is {PER_MINUTE} times per minute. "
            "Please upgrade your plan from https://app.apollo.io/#/settings/plans/upgrade."
        }
    )

    def answer(_name: str, seconds: float) -> Response:
        return Response(429, body, (JSON_TYPE, retry_after(seconds)))

    return answer


def _linkedin_url(handle: str | None) -> str | None:
    return None if handle is None else f"http://www.linkedin.com/{handle}"


def _person_body(person: Person, view: PersonView, organization: object) -> dict[str, Any]:
    company = person.company
    headline = f"{view.title} at {company.name}" if view.title and company else view.title
    place = person.place if view.located else None
    return {
        "id": person.key,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "name": f"{person.first_name} {person.last_name}",
        "linkedin_url": _linkedin_url(view.linkedin),
        "title": view.title,
        "email_status": "verified" if person.email_status == "valid" else "unverified",
        "photo_url": None,
        "twitter_url": None,
        "github_url": None,
        "facebook_url": None,
        "extrapolated_email_confidence": None,
        "headline": headline,
        "email": person.email,
        "organization_id": company.key if company else None,
        "employment_history": _employment(person, view),
        "state": place.state if place else None,
        "city": place.city if place else None,
        "country": place.country if place else None,
        "organization": organization,
        "is_likely_to_engage": person.index % 3 == 0,
        "show_intent": False,
        "departments": [view.department.apollo] if view.department else [],
        "subdepartments": [view.department.apollo_sub] if view.department else [],
        "functions": [view.department.apollo_sub] if view.department else [],
        "seniority": view.level.apollo if view.level else None,
    }


def _employment(person: Person, view: PersonView) -> list[dict[str, Any]]:
    company = person.company
    start = f"{person.started_year}-01-01"
    present = (True, None, company.key if company else None, company.name if company else None, start, view.title)
    former = (False, f"{person.started_year - 1}-12-01", None, person.previous_employer, "2006-01-01", "Analyst")
    jobs = []
    for number, (current, end, key, name, begun, title) in enumerate((present, former)):
        job_id = f"{person.key[:-1]}{number}"
        jobs.append({
            "_id": job_id,
            "current": current,
            "end_date": end,
            "organization_id": key,
            "organization_name": name,
            "start_date": begun,
            "title": title,
            "id": job_id,
            "key": job_id,
        })  # fmt: skip
    return jobs


def _company_body(company: Company, view: CompanyView) -> dict[str, Any]:
    place = company.place
    street = f"{company.street_number} {company.street_name}"
    industry = view.industry.apollo if view.industry else None
    return {
        "id": company.key,
        "name": company.name,
        "website_url": f"http://www.{company.domain}",
        "linkedin_url": _linkedin_url(view.linkedin),
        "primary_phone": {},
        "phone": view.phone,
        "founded_year": view.founded_year,
        "publicly_traded_symbol": None,
        "primary_domain": company.domain,
        "industry": industry,
        "keywords": list(view.industry.keywords) if view.industry else [],
        "estimated_num_employees": view.employees,
        "industries": [industry] if industry else [],
        "secondary_industries": [],
        "raw_address": f"{street}, {place.city}, {place.state}, {place.country}",
        "street_address": street,
        "city": place.city,
        "state": place.state,
        "postal_code": place.postal_code,
        "country": place.country,
        "short_description": f"{company.name} of {place.city}.",
        "annual_revenue_printed": _printed(view.revenue),
        "annual_revenue": None if view.revenue is None else float(view.revenue),
        "total_funding": None,
        "latest_funding_stage": None,
        "funding_events": [],
        "technology_names": [words.TECHNOLOGIES[number][0] for number in view.technologies],
        "current_technologies": [
            {"uid": uid, "name": name, "category": category}
            for name, uid, category in (words.TECHNOLOGIES[number] for number in view.technologies)
        ],
    }


def _printed(revenue: int | None) -> str | None:
    """The amount as Apollo prints it: 120M, 1.5B, 400K."""
    if revenue is None:
        return None
    for size, letter in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "K")):
        if revenue >= size:
            return f"{revenue / size:.1f}".removesuffix(".0") + letter
    return str(revenue)
