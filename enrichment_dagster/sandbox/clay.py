"""Clay: the webhook of a table, and the HTTP API column that sends a filled row back.

Clay documents the webhook (any JSON object, an optional token, 50,000 rows in its life); that it silently drops rows
beyond them, and the name of the token's header, come from its community. The 100 KB cap and the errors' bodies are
this emulator's. The way back is a column that a user sets up: here it posts to the row's `callback_url` and carries the
token the row came with.
"""

from typing import Any

import orjson

from enrichment_dagster.sandbox.callbacks import Callbacks
from enrichment_dagster.sandbox.clay_tables import ClayTables
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response, json_response, retry_after
from enrichment_dagster.sandbox.world import World

MOST_BYTES = 100_000
TOKEN_HEADER = "x-clay-webhook-auth"  # noqa: S105  # The header's name.
CALLBACK = "clay.row"
_ECHOED = ("source_id", "source_system", "event_type", "email", "company_domain")


class Clay:
    """Takes rows and sends them back filled."""

    def __init__(self, config: SandboxConfig, world: World, tables: ClayTables, callbacks: Callbacks) -> None:
        self._config = config
        self._world = world
        self._tables = tables
        self._callbacks = callbacks

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        return {
            ("POST", "/clay/v1/webhook/"): Endpoint("clay.webhook", self.row, _subject, _token, _error, _throttled),
        }  # fmt: skip

    def row(self, request: Request) -> Response:
        """POST webhook/{table}: one flat JSON object is one row."""
        if not self._config.accepts_key(_token(request)):
            return json_response(401, {"error": "Unauthorized"})
        if len(request.body) > MOST_BYTES:
            return json_response(413, {"error": "Payload too large"})
        row = request.json
        if not isinstance(row, dict) or any(isinstance(value, dict | list) for value in row.values()):
            return json_response(400, {"error": "The body must be a flat JSON object"})
        if self._tables.take(request.tail) and row.get("callback_url"):
            self._send_back(row, _token(request))
        return json_response(200, {"success": True})

    def _send_back(self, row: dict[str, Any], token: str) -> None:
        body = orjson.dumps(self.filled(row))
        pause = self._config.callback_delay_seconds
        delays = [pause * (1 + again) for again in range(1 + self._config.callback_repeats)]
        self._callbacks.post(CALLBACK, str(row["callback_url"]), lambda: body, delays, {TOKEN_HEADER: token})

    def filled(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row that goes back: what identifies it, and the columns of the table, null where nothing was found."""
        person = self._world.person_by_email(str(row.get("email") or ""))
        known = person if person and self._world.coverage.clay_knows(person) else None
        company = known.company if known else None
        return {
            **{name: row[name] for name in _ECHOED if name in row},
            "first_name": known.first_name if known else None,
            "last_name": known.last_name if known else None,
            "title": known.title if known else None,
            "seniority": known.level.apollo if known else None,
            "department": known.department.noun if known else None,
            "linkedin_url": f"https://www.linkedin.com/{known.linkedin}" if known else None,
            "company": company.name if company else None,
            "employees": company.employees if company else None,
            "industry": company.industry.apollo if company else None,
            "city": known.place.city if known else None,
            "country": known.place.country if known else None,
        }


def _token(request: Request) -> str:
    return request.header(TOKEN_HEADER.encode())


def _subject(request: Request) -> tuple[str, ...]:
    row = request.json_object
    return (str(row.get("source_id") or row.get("email") or "").lower(),)


def _error(status: int) -> Response:
    return json_response(status, {"error": "Something went wrong"})


def _throttled(_name: str, seconds: float) -> Response:
    return json_response(429, {"error": "Too many requests"}, retry_after(seconds))
