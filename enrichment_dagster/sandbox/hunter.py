"""Hunter: email-finder and email-verifier.

Shapes, statuses and errors: Hunter's API v2 reference. Rate limit is 403 `too_many_requests`. A person it does not find
is 404; the address of somebody who objected is 451 (a fault plan's `error_status`). The verifier answers 202 while it
works, here with an empty body, and is charged once.
"""

from typing import Any

import orjson

from enrichment_dagster.sandbox import vocabulary as words
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.subjects import Person
from enrichment_dagster.sandbox.wire import Endpoint, Handler, Request, Response, Subjects, bearer, key_of
from enrichment_dagster.sandbox.world import World

_CHECKED = "2026-09-01"
_STATUSES = {
    "valid": "valid", "invalid": "invalid", "catch-all": "accept_all", "unknown": "unknown", "do_not_mail": "valid",
}  # fmt: skip
_SCORES = {"valid": 97, "accept_all": 72, "webmail": 50, "unknown": 40, "invalid": 5}
_RESULTS = {
    "valid": "deliverable", "accept_all": "risky", "webmail": "risky", "unknown": "risky", "invalid": "undeliverable",
}  # fmt: skip
_IDS = {
    400: "wrong_params", 401: "authentication_failed", 403: "too_many_requests", 404: "not_found",
    429: "usage_limit_reached", 451: "claimed_email",
}  # fmt: skip


class Hunter:
    """Answers Hunter's finder and verifier from the world."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self._config = config
        self._world = world
        self._by_name = {
            (person.first_name.lower(), person.last_name.lower(), company): person
            for person in world.all_people
            if person.company is not None
            for company in (person.company.name.lower(), person.company.domain)
        }

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        return {
            ("GET", "/hunter/v2/email-finder"): self._endpoint("email_finder", self.find, _finder_subject),
            ("GET", "/hunter/v2/email-verifier"): self._endpoint(
                "email_verifier", self.verify, _email_subject, pending=True
            ),
        }

    def find(self, request: Request) -> Response:
        """GET email-finder with domain or company, first_name and last_name (or full_name)."""
        first, last, company = _asked(request)
        for name, value in (("domain", company), ("first_name", first), ("last_name", last)):
            if not value:
                return failure(400, f"You are missing the {name} parameter")
        person = self._by_name.get((first, last, company))
        if person is None or not self._world.coverage.hunter_finds(person):
            return failure(404, "No email address was found for this person")
        return _json({"data": _found(person), "meta": {"params": _finder_params(request)}}, person.email)

    def verify(self, request: Request) -> Response:
        """GET email-verifier?email=. An unknown is not charged."""
        (email,) = _email_subject(request)
        local, at, domain = email.rpartition("@")
        if not email:
            return failure(400, "You are missing the email parameter")
        if not (at and local and "." in domain):
            return failure(400, "The email parameter is invalid", "invalid_email")
        status = self._status(email, domain)
        billed = () if status == "unknown" else (email,)
        return _json({"data": _verdict(email, status), "meta": {"params": {"email": email}}}, *billed)

    def _status(self, email: str, domain: str) -> str:
        person = self._world.person_by_email(email)
        if person is None:
            return "invalid" if self._world.company_by_domain(domain) else "unknown"
        status = _STATUSES[person.email_status]
        return "webmail" if status == "valid" and not person.is_business else status

    def _endpoint(self, name: str, handle: Handler, subjects: Subjects, *, pending: bool = False) -> Endpoint:
        def guarded(request: Request) -> Response:
            if not self._config.accepts_key(_key(request)):
                return failure(401, "No user found for the API key supplied")
            return handle(request)

        later = (lambda: Response(202)) if pending else None
        return Endpoint(f"hunter.{name}", guarded, subjects, _key, _error, _throttled, pending=later)


def failure(status: int, details: str, error_id: str | None = None) -> Response:
    """Hunter's errors: a list of one."""
    error = {"id": error_id or _IDS.get(status, "server_error"), "code": status, "details": details}
    return Response(status, orjson.dumps({"errors": [error]}))


def _error(status: int) -> Response:
    return failure(status, "The request could not be processed")


def _throttled(_name: str, _seconds: float) -> Response:
    return failure(403, "You have reached the rate limit")


def _json(body: dict[str, Any], *billed: str) -> Response:
    return Response(200, orjson.dumps(body), billed=billed)


def _key(request: Request) -> str:
    return request.query.get("api_key") or key_of(request) or bearer(request)


def _asked(request: Request) -> tuple[str, str, str]:
    """First name, last name, and the domain or else the company, all in lower case."""
    given = request.query
    full = given.get("full_name", "").partition(" ")
    first, last = given.get("first_name") or full[0], given.get("last_name") or full[2]
    company = given.get("domain", "").removeprefix("www.") or given.get("company", "")
    return first.strip().lower(), last.strip().lower(), company.strip().lower()


def _finder_subject(request: Request) -> tuple[str, ...]:
    return (" ".join(_asked(request)).strip(),)


def _email_subject(request: Request) -> tuple[str]:
    return (request.query.get("email", "").strip().lower(),)


def _finder_params(request: Request) -> dict[str, str | None]:
    names = ("first_name", "last_name", "full_name", "domain", "company", "max_duration")
    return {name: request.query.get(name) for name in names}


def _found(person: Person) -> dict[str, Any]:
    status = _STATUSES[person.email_status]
    return {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "score": _SCORES[status],
        "domain": person.domain,
        "accept_all": status == "accept_all",
        "position": person.title,
        "twitter": None,
        "linkedin_url": None,
        "phone_number": None,
        "company": person.company.name if person.company else None,
        "sources": [],
        "verification": {"date": _CHECKED, "status": "unknown" if status == "invalid" else status},
    }


def _verdict(email: str, status: str) -> dict[str, Any]:
    reached = status in ("valid", "accept_all", "webmail")
    return {
        "status": status,
        "result": _RESULTS[status],
        "score": _SCORES[status],
        "email": email,
        "regexp": True,
        "gibberish": False,
        "disposable": False,
        "webmail": email.rpartition("@")[2] in words.FREE_MAIL_DOMAINS,
        "mx_records": True,
        "smtp_server": True,
        "smtp_check": reached,
        "accept_all": status == "accept_all",
        "block": False,
        "sources": [],
    }
