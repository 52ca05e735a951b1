"""People Data Labs: person/enrich, person/bulk and company/enrich.

Shapes: PDL's OpenAPI; errors and headers: its documentation. Company fields stand at the top of the answer, as in the
OpenAPI. Only a match is charged. A key that begins with `sandbox-empty` has no credits left (402).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.people_data_labs_bodies import company_body, person_body
from enrichment_dagster.sandbox.subjects import Person
from enrichment_dagster.sandbox.wire import (
    JSON_TYPE,
    Endpoint,
    Handler,
    Header,
    Request,
    Response,
    Subjects,
    key_of,
)
from enrichment_dagster.sandbox.world import World

MOST_IN_BULK = 100
_ROOT = "/people_data_labs/v5/"


class PeopleDataLabs:
    """Answers People Data Labs' enrichment calls from the world."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self._config = config
        self._world = world
        self._people: dict[int, bytes] = {}
        self._by_name = {
            (person.first_name.lower(), person.last_name.lower(), company): person
            for person in world.all_people
            if person.company is not None
            for company in (person.company.name.lower(), person.company.domain)
        }

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        return {
            ("GET", _ROOT + "person/enrich"): self._endpoint("person_enrich", self.person, _person_subjects),
            ("POST", _ROOT + "person/bulk"): self._endpoint("person_bulk", self.bulk, _bulk_subjects),
            ("GET", _ROOT + "company/enrich"): self._endpoint("company_enrich", self.company, _company_subjects),
        }

    def person(self, request: Request) -> Response:
        """GET person/enrich by email, or by first_name, last_name and company; a miss is 404."""
        status, body, billed = self._look_up(request.query)
        return Response(status, body, self._headers(request, len(billed)), billed)

    def bulk(self, request: Request) -> Response:
        """POST person/bulk {"requests": [{"params": {...}, "metadata": {...}}]}: answers in the order of requests."""
        wanted = _requests(request)
        if not 1 <= len(wanted) <= MOST_IN_BULK:
            return _failure(400, f"requests must hold between 1 and {MOST_IN_BULK} items")
        answers: list[bytes] = []
        billed: list[str] = []
        for item in wanted:
            _, body, charged = self._look_up(item["params"])
            billed += charged
            echo = b',"metadata":%b}' % orjson.dumps(item["metadata"]) if "metadata" in item else b"}"
            answers.append(body[:-1] + echo)
        return Response(200, b"[%b]" % b",".join(answers), self._headers(request, len(billed)), tuple(billed))

    def company(self, request: Request) -> Response:
        """GET company/enrich?website=."""
        (website,) = _company_subjects(request)
        if not website:
            return _failure(400, "One or more parameters are missing or invalid: website")
        company = self._world.company_by_domain(website)
        view = self._world.coverage.pdl_company(company) if company else None
        if company is None or view is None:
            return Response(404, _MISS, self._headers(request, 0))
        body = orjson.dumps(company_body(company, view))
        return Response(200, body, self._headers(request, 1), (company.domain,))

    def _endpoint(self, name: str, handle: Handler, subjects: Subjects) -> Endpoint:
        def guarded(request: Request) -> Response:
            key = key_of(request)
            if not self._config.accepts_key(key):
                return _failure(401, "Request contained a missing or invalid key")
            if key.startswith("sandbox-empty"):
                return _failure(402, "You have hit your account maximum for person/company enrichment")
            return handle(request)

        return Endpoint(f"people_data_labs.{name}", guarded, subjects, key_of, _error, _throttled)

    def _look_up(self, params: dict[str, Any]) -> tuple[int, bytes, tuple[str, ...]]:
        """Status, body and who is charged for one person."""
        email, names = _asked(params)
        if not email and not all(names):
            text = "Request must contain an email, or a first_name, last_name and company"
            return 400, _error_body(400, text), ()
        person = self._world.person_by_email(email) if email else self._by_name.get(names)
        body = self._ready(person) if person else None
        if person is None or body is None:
            return 404, _MISS, ()
        return 200, body, (person.email,)

    def _ready(self, person: Person) -> bytes | None:
        ready = self._people.get(person.index)
        view = None if ready else self._world.coverage.pdl_person(person)
        if view is not None:
            company = self._world.coverage.pdl_company(person.company) if person.company else None
            phone = self._world.coverage.mobile(person)
            hidden = self._world.coverage.pdl_hides_contacts(person)
            data = person_body(person, view, company, phone, contacts_hidden=hidden)
            answer = {"status": 200, "likelihood": 6 + person.index % 5, "data": data}
            ready = self._people[person.index] = orjson.dumps(answer)
        return ready

    def _headers(self, request: Request, credits_spent: int) -> tuple[Header, ...]:
        spent = (b"x-call-credits-spent", b"%d" % credits_spent)
        allowance = request.allowance
        if allowance is None:
            return (JSON_TYPE, spent)
        reset = datetime.now(UTC) + timedelta(seconds=allowance.seconds_left)
        return (
            JSON_TYPE,
            spent,
            (b"x-ratelimit-limit", b'{"minute": %d}' % allowance.per_minute),
            (b"x-ratelimit-remaining", b'{"minute": %d}' % allowance.left),
            (b"x-ratelimit-reset", f"{reset:%Y-%m-%dT%H:%M:%SZ}".encode()),
        )


_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "payment_required",
    404: "not_found",
    429: "rate_limit_error",
}


def _error_body(status: int, message: str) -> bytes:
    return orjson.dumps({"status": status, "error": {"type": _KINDS.get(status, "api_error"), "message": message}})


_MISS = _error_body(404, "No records were found matching your request")


def _failure(status: int, message: str) -> Response:
    return Response(status, _error_body(status, message))


def _error(status: int) -> Response:
    return _failure(
        status, "The server encountered an unexpected condition which prevented it from fulfilling the request"
    )


def _throttled(_name: str, _seconds: float) -> Response:
    """429 without Retry-After, as PDL sends none."""
    return _failure(429, "An error occurred due to requests hitting the API too quick")


def _asked(params: dict[str, Any]) -> tuple[str, tuple[str, str, str]]:
    """The e-mail address, and first name, last name and company, all in lower case."""

    def text(name: str) -> str:
        return str(params.get(name) or "").strip().lower()

    return text("email"), (text("first_name"), text("last_name"), text("company"))


def _subject(params: dict[str, Any]) -> str:
    email, names = _asked(params)
    return email or " ".join(names).strip()


def _person_subjects(request: Request) -> tuple[str, ...]:
    return (_subject(request.query),)


def _requests(request: Request) -> list[dict[str, Any]]:
    """The requests of a bulk call, each with its params (an empty object where they are none)."""
    given = request.json_object.get("requests")
    items = [item if isinstance(item, dict) else {} for item in given] if isinstance(given, list) else []
    return [{**item, "params": item["params"] if isinstance(item.get("params"), dict) else {}} for item in items]


def _bulk_subjects(request: Request) -> tuple[str, ...]:
    return tuple(_subject(item["params"]) for item in _requests(request))


def _company_subjects(request: Request) -> tuple[str]:
    website = request.query.get("website", "").strip().lower()
    return (website.partition("://")[2].partition("/")[0] if "://" in website else website.partition("/")[0],)
