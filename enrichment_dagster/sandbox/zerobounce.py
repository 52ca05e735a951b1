"""ZeroBounce: validate and validatebatch. Shape and statuses: ZeroBounce v2 documentation and its Python client.

An address outside the world is `invalid / mailbox_not_found` at a domain of the world and
`unknown / mail_server_did_not_respond` elsewhere. A bad key is HTTP 200 with `{"error": ...}`, as the client expects;
of a batch, it stands in `errors` for the address `all`.
"""

from datetime import UTC, datetime
from typing import Any

from enrichment_dagster.sandbox import vocabulary as words
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.subjects import Person
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response, json_response, retry_after
from enrichment_dagster.sandbox.world import World

_BAD_KEY = {"error": "Invalid API key or your account ran out of credits"}


MOST_IN_BATCH = 100


class ZeroBounce:
    """Answers ZeroBounce's validations from the world."""

    def __init__(self, config: SandboxConfig, world: World) -> None:
        self._config = config
        self._world = world

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        return {
            ("GET", "/zerobounce/v2/validate"): Endpoint(
                "zerobounce.validate", self.validate, _email_subject, _key, _error, _throttled
            ),
            ("POST", "/zerobounce/v2/validatebatch"): Endpoint(
                "zerobounce.validate_batch", self.validate_batch, _batch, _batch_key, _error, _throttled
            ),
        }

    def validate(self, request: Request) -> Response:
        """GET validate?api_key&email&ip_address. An `unknown` is not charged."""
        if not self._config.accepts_key(_key(request)):
            return json_response(200, _BAD_KEY)
        email = request.query.get("email", "").strip().lower()
        if not email:
            return json_response(200, {"error": "Missing parameter: email"})
        person = self._world.person_by_email(email)
        status, sub_status = self._verdict(email, person)
        billed = () if status == "unknown" else (email,)
        return json_response(200, _body(email, person, status, sub_status), billed=billed)

    def validate_batch(self, request: Request) -> Response:
        """POST validatebatch {"api_key", "email_batch": [{"email_address", "ip_address"}]}, up to a hundred."""
        if not self._config.accepts_key(_batch_key(request)):
            return _batch_failure(_BAD_KEY["error"])
        emails = _batch(request)
        if not 1 <= len(emails) <= MOST_IN_BATCH:
            return _batch_failure(f"email_batch must hold between 1 and {MOST_IN_BATCH} addresses")
        found, billed = [], []
        for email in emails:
            person = self._world.person_by_email(email)
            status, sub_status = self._verdict(email, person)
            found.append(_body(email, person, status, sub_status))
            if status != "unknown":
                billed.append(email)
        return json_response(200, {"email_batch": found, "errors": []}, billed=tuple(billed))

    def _verdict(self, email: str, person: Person | None) -> tuple[str, str]:
        if person is not None:
            return person.email_status, person.email_sub_status
        local, at, domain = email.rpartition("@")
        if not (at and local and "." in domain):
            return "invalid", "failed_syntax_check"
        if self._world.company_by_domain(domain) is not None:
            return "invalid", "mailbox_not_found"
        return "unknown", "mail_server_did_not_respond"


def _key(request: Request) -> str:
    return request.query.get("api_key", "")


def _batch_key(request: Request) -> str:
    return str(request.json_object.get("api_key") or "")


def _batch(request: Request) -> tuple[str, ...]:
    items = request.json_object.get("email_batch")
    given = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return tuple(str(item.get("email_address") or "").strip().lower() for item in given)


def _batch_failure(message: str) -> Response:
    return json_response(200, {"email_batch": [], "errors": [{"error": message, "email_address": "all"}]})


def _email_subject(request: Request) -> tuple[str, ...]:
    return (request.query.get("email", "").strip().lower(),)


def _body(email: str, person: Person | None, status: str, sub_status: str) -> dict[str, Any]:
    account, _, domain = email.rpartition("@")
    now = datetime.now(UTC)
    return {
        "address": email,
        "status": status,
        "sub_status": sub_status,
        "free_email": domain in words.FREE_MAIL_DOMAINS,
        "did_you_mean": None,
        "account": account,
        "domain": domain,
        "domain_age_days": "5426",
        "smtp_provider": "g-suite",
        "mx_found": "true",
        "mx_record": "aspmx.l.google.com",
        "firstname": person.first_name if person else None,
        "lastname": person.last_name if person else None,
        "gender": person.gender if person else None,
        "country": None,
        "region": None,
        "city": None,
        "zipcode": None,
        "processed_at": f"{now:%Y-%m-%d %H:%M:%S}.{now.microsecond // 1000:03d}",
    }


def _error(status: int) -> Response:
    return json_response(status, {"error": "The request could not be processed."})


def _throttled(_name: str, seconds: float) -> Response:
    return json_response(429, {"error": "Too many requests."}, retry_after(seconds))
