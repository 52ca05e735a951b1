"""Clearbit (classic): combined/find, people/find and companies/find, the person and company hosts in one place.

Shape: the recorded response in hull-clearbit's tests and the official Ruby and Python clients. In combined, person and
company are independently null; when both are unknown the answer is 404. A look-up that goes on in the background is
202 with an empty body (`pending_rate` of the fault plan).
"""

from base64 import b64decode
from binascii import Error as Base64Error

import orjson

from enrichment_dagster.sandbox.clearbit_bodies import company_body, person_body
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.subjects import Company, Person
from enrichment_dagster.sandbox.wire import (
    JSON_TYPE,
    Endpoint,
    Handler,
    Header,
    Request,
    Response,
    Subjects,
    bearer,
    json_response,
    retry_after,
)
from enrichment_dagster.sandbox.world import World

PER_MINUTE = 600


class Clearbit:
    """Answers Clearbit's look-ups from the world."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self._config = config
        self._world = world
        self._people: dict[int, bytes] = {}
        self._companies: dict[int, bytes] = {}

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        return {
            ("GET", "/clearbit/v2/combined/find"): self._endpoint("combined_find", self.combined, _email_subject),
            ("GET", "/clearbit/v2/people/find"): self._endpoint("person_find", self.person, _email_subject),
            ("GET", "/clearbit/v2/companies/find"): self._endpoint("company_find", self.company, _domain_subject),
        }

    def combined(self, request: Request) -> Response:
        """GET combined/find?email=."""
        (email,) = _email_subject(request)
        if not _is_address(email):
            return _failure(422, "email_invalid", "Invalid email.")
        person, company = self._person(email), self._company(email.rpartition("@")[2])
        headers = _headers(request)
        if person is None and company is None:
            return _failure(404, "unknown_record", "Unknown person.", headers)
        body = b'{"person":%b,"company":%b}' % (person or b"null", company or b"null")
        return Response(200, body, headers, billed=(email,))

    def person(self, request: Request) -> Response:
        """GET people/find?email=."""
        (email,) = _email_subject(request)
        if not _is_address(email):
            return _failure(422, "email_invalid", "Invalid email.")
        headers = _headers(request)
        body = self._person(email)
        if body is None:
            return _failure(404, "unknown_record", "Unknown person.", headers)
        return Response(200, body, headers, billed=(email,))

    def company(self, request: Request) -> Response:
        """GET companies/find?domain=."""
        (domain,) = _domain_subject(request)
        if "." not in domain:
            return _failure(422, "domain_invalid", "Invalid domain.")
        headers = _headers(request)
        body = self._company(domain)
        if body is None:
            return _failure(404, "unknown_record", "Unknown company.", headers)
        return Response(200, body, headers, billed=(domain,))

    def _endpoint(self, name: str, handle: Handler, subjects: Subjects) -> Endpoint:
        def guarded(request: Request) -> Response:
            if not self._config.accepts_key(_key(request)):
                return _failure(401, "auth_invalid", "Invalid API key provided.")
            return handle(request)

        return Endpoint(f"clearbit.{name}", guarded, subjects, _key, _error, _throttled, pending=_pending)

    def _person(self, email: str) -> bytes | None:
        person: Person | None = self._world.person_by_email(email)
        if person is None or person.clearbit is None:
            return None
        ready = self._people.get(person.index)
        if ready is None:
            ready = self._people[person.index] = orjson.dumps(person_body(person, person.clearbit))
        return ready

    def _company(self, domain: str) -> bytes | None:
        company: Company | None = self._world.company_by_domain(domain)
        if company is None or company.clearbit is None:
            return None
        ready = self._companies.get(company.index)
        if ready is None:
            ready = self._companies[company.index] = orjson.dumps(company_body(company, company.clearbit))
        return ready


def _headers(request: Request) -> tuple[Header, ...]:
    """Headers of an answer; they tell of a rate limit where a fault plan sets one."""
    allowance, version = request.allowance, (b"x-api-version", b"2019-12-19")
    if allowance is None:
        return (JSON_TYPE, version)
    return (JSON_TYPE, version, *_rate_headers(allowance.per_minute, allowance.left, allowance.seconds_left))


def _throttled(_name: str, seconds: float) -> Response:
    headers = (JSON_TYPE, retry_after(seconds), *_rate_headers(PER_MINUTE, 0, seconds))
    return _failure(429, "rate_limit", "Rate limit exceeded.", headers)


def _rate_headers(limit: int, left: int, seconds: float) -> tuple[Header, ...]:
    names = (b"x-ratelimit-limit", b"x-ratelimit-remaining", b"x-ratelimit-reset")
    return tuple((name, b"%d" % number) for name, number in zip(names, (limit, left, seconds), strict=True))


def _key(request: Request) -> str:
    """The key of `Bearer key` or of `Basic base64(key:)`."""
    scheme, _, value = request.header(b"authorization").partition(" ")
    if scheme.lower() != "basic":
        return bearer(request)
    try:
        return b64decode(value).decode().partition(":")[0]
    except (Base64Error, UnicodeDecodeError):
        return ""


def _email_subject(request: Request) -> tuple[str]:
    return (request.query.get("email", "").strip().lower(),)


def _domain_subject(request: Request) -> tuple[str]:
    return (request.query.get("domain", "").strip().lower(),)


def _is_address(email: str) -> bool:
    local, at, domain = email.rpartition("@")
    return bool(at and local and "." in domain)


def _pending() -> Response:
    return Response(202)


def _failure(status: int, kind: str, message: str, headers: tuple[Header, ...] = (JSON_TYPE,)) -> Response:
    return Response(status, orjson.dumps({"error": {"type": kind, "message": message}}), headers)


def _error(status: int) -> Response:
    return json_response(status, {"error": {"type": "api_error", "message": "Something went wrong."}})
