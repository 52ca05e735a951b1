"""What all of Apollo's calls share: the key, the rate headers, the errors.

Errors: Apollo OpenAPI (401 is plain text). Rate headers: Apollo's rate-limit page.
"""

from collections.abc import Callable
from typing import Any

import orjson

from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.wire import (
    JSON_TYPE,
    Endpoint,
    Handler,
    Header,
    Request,
    Response,
    Subjects,
    json_response,
    key_of,
    no_subject,
    retry_after,
    text_response,
)

PREFIX = "/apollo/api/v1/"
PER_MINUTE = 1000
MOST_IN_BULK = 10
# An unlimited window is an empty header value (Apollo's rate-limit page).
_MINUTE = (b"x-rate-limit-minute", b"x-minute-usage", b"x-minute-requests-left")
_LONGER: tuple[Header, ...] = tuple(
    (name, b"")
    for name in (
        b"x-rate-limit-hourly", b"x-hourly-usage", b"x-hourly-requests-left",
        b"x-rate-limit-24-hour", b"x-24-hour-usage", b"x-24-hour-requests-left",
    )
)  # fmt: skip
_UNLIMITED: tuple[Header, ...] = (JSON_TYPE, *((name, b"") for name in _MINUTE), *_LONGER)


class ApolloAccount:
    """The keys of one Apollo account."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config

    def endpoint(self, name: str, path: str, handle: Handler, subjects: Subjects = no_subject) -> Endpoint:
        """The endpoint `apollo.{name}`, which refuses a foreign key before it does anything."""

        def guarded(request: Request) -> Response:
            if not self._config.accepts_key(key_of(request)):
                return text_response(401, "Invalid access credentials.")
            return handle(request)

        return Endpoint(f"apollo.{name}", guarded, subjects, key_of, _error, _throttled(f"api/v1/{path}"))


def rate_headers(request: Request) -> tuple[Header, ...]:
    """Headers of an answer. Without a limit in the fault plan the minute is as unlimited as the longer windows."""
    allowance = request.allowance
    if allowance is None:
        return _UNLIMITED
    told = (allowance.per_minute, allowance.used, allowance.left)
    return (JSON_TYPE, *((name, b"%d" % number) for name, number in zip(_MINUTE, told, strict=True)), *_LONGER)


def inputs(request: Request) -> dict[str, Any]:
    """The OpenAPI calls them query parameters, Apollo's own CLI sends a JSON body: both are read."""
    return {**request.query, **request.json_object}


def texts(request: Request, name: str) -> list[str]:
    """A list parameter: `name[]` in the query, `name` in the body (with or without the brackets)."""
    given = request.json_object.get(name, request.json_object.get(f"{name}[]"))
    if isinstance(given, list):
        return [item for item in given if isinstance(item, str)]
    return request.query_list(f"{name}[]", name)


def whole(given: dict[str, Any], name: str, default: int) -> int | None:
    """A positive whole number, or None when it is something else."""
    text = str(given.get(name, default))
    return int(text) if text.isdecimal() and int(text) > 0 else None


def refused(message: str) -> Response:
    """422: the request makes no sense."""
    return json_response(422, {"error": message})


def over_limit() -> Response:
    """400: more than ten in one bulk request."""
    text = f"cannot enrich more than {MOST_IN_BULK} in a single request"
    return json_response(
        400, {"status": "failed", "error_code": "RECORD_LIMIT_EXCEEDED", "error_message": text}
    )  # fmt: skip


def _error(status: int) -> Response:
    return json_response(status, {"error": "The server could not handle the request."})


def _throttled(path: str) -> Callable[[str, float], Response]:
    body = orjson.dumps(
        {
            "message": f"The maximum number of api calls allowed for {path} is {PER_MINUTE} times per minute. "
            "Please upgrade your plan from https://app.apollo.io/#/settings/plans/upgrade."
        }
    )

    def answer(_name: str, seconds: float) -> Response:
        return Response(429, body, (JSON_TYPE, retry_after(seconds)))

    return answer
