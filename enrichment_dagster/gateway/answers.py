"""The gateway's answers: always JSON, errors always ``{"error": {"reason", "detail"}}``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from enrichment_dagster.errors import IntakeError
from enrichment_dagster.gateway.lingering import LingeringResponse

_RETRY_AFTER_SECONDS = "5"
_REASONS = {404: "unknown_path", 405: "wrong_method"}
# What is left of such a body must not be taken for the next request on the connection.
_CLOSING = frozenset({408, 413})
_LARGE = 413
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    kind = LingeringResponse if status == _LARGE else Response  # the client is still sending
    return kind(orjson.dumps(content), status, headers, "application/json")


def refused(error: IntakeError, extra: Mapping[str, Any] = _NOTHING) -> Response:
    """Answer a request that is refused at the door."""
    headers = {"connection": "close"} if error.status in _CLOSING else None
    return _error(error.status, error.reason, error.detail, headers, extra)


def unavailable(
    reason: str = "journal_unavailable",
    what: str = "the event",
    status: int = 503,
    retry_after: str = _RETRY_AFTER_SECONDS,
    extra: Mapping[str, Any] = _NOTHING,
) -> Response:
    """Answer a request that could not be made durable: the sender has to come again."""
    return _error(status, reason, f"{what} could not be stored; send it again", {"retry-after": retry_after}, extra)


def failed(status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None, **extra: Any) -> Response:
    """Answer a request that can't be done."""
    return _error(status, reason, detail, headers, extra)


def internal_error() -> Response:
    """Answer a request that failed by a fault of this program."""
    return _error(500, "internal_error", "a fault of the gateway, see its log")


def install_error_answers(app: FastAPI) -> None:
    """Give the framework's own errors the same form."""

    async def http_error(_request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):  # the framework's signature is wider than its calls
            raise error
        reason = _REASONS.get(error.status_code, "http_error")
        return _error(error.status_code, reason, str(error.detail), error.headers)

    async def fault(_request: Request, _fault: Exception) -> Response:
        return internal_error()

    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, fault)


def _error(
    status: int,
    reason: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] = _NOTHING,
) -> Response:
    return answer({"error": {"reason": reason, "detail": detail}, **extra}, status, headers)
