"""The API's routes, with all that OpenAPI tells of them. Bodies are read by hand: FastAPI would accept too much."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from enrichment_dagster.gateway.api.deps import EnrichDeps
from enrichment_dagster.gateway.api.enrich import EnrichApi
from enrichment_dagster.gateway.api.events import EVENTS_PATH, EventsApi
from enrichment_dagster.gateway.api.models import (
    AcceptedAnswer,
    EnrichAnswer,
    EnrichRequest,
    ErrorAnswer,
    JourneyAnswer,
)
from enrichment_dagster.gateway.deps import GatewayDeps

ENRICH_PATH = "/enrich"
_TAG = "Enrichment"
_KEYS = (
    Security(HTTPBearer(auto_error=False, description="A caller's key.")),
    Security(APIKeyHeader(name="X-API-Key", auto_error=False, description="The same key, for clients without bearer.")),
)
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the same answer for 48 hours, and have one effect.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    "example": "lead-4711",
}
_EVENT_ID = {
    "name": "event_id",
    "in": "path",
    "required": True,
    "description": "As /enrich and the webhooks return it.",
    "schema": {"type": "string"},
    "example": "evt_4f1c09a2b3d4e5f60718293a",
}
_WHY = {
    400: "The body is not JSON, or a header can't be read.",
    401: "No valid key.",
    404: "There is no such event.",
    408: "The body did not arrive in time.",
    409: "The key came with another body, or its first request is still being worked on.",
    413: "The body is too large.",
    415: "The body does not say that it is JSON.",
    422: "Fields are unknown, wrong or do not go together; all of them are named.",
    429: "Too many requests at once; see Retry-After.",
    503: "Nothing could be stored; see Retry-After.",
}
_ENRICH_TEXT = """\
Answers within the deadline with what is there by then; what a provider brings later goes to the record and is at
`/events/{event_id}`. With `mode: async` the answer is that URL. A `callback_url` gets the result as a POST, signed by
Standard Webhooks with the caller's secret, and repeated for 24 hours until it is answered 2xx.
"""


def add_api_routes(app: FastAPI, enrich: EnrichApi, api: EnrichDeps, deps: GatewayDeps) -> None:
    """Add the endpoints; that of ``enrich`` is served before it gets here, and only told of."""
    app.add_api_route(
        ENRICH_PATH,
        enrich.handle,
        methods=["POST"],
        operation_id="enrich",
        summary="Enrich one lead",
        description=_ENRICH_TEXT,
        tags=[_TAG],
        dependencies=_KEYS,
        response_model=EnrichAnswer,
        response_description="What was found.",
        responses={
            202: {"model": AcceptedAnswer, "description": "The event is recorded (mode async)."},
            **_errors(400, 401, 408, 409, 413, 415, 422, 429, 503),
        },
        openapi_extra={
            "parameters": [_IDEMPOTENCY_KEY],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": EnrichRequest.model_json_schema()}},
            },
        },
    )
    app.add_api_route(
        EVENTS_PATH,
        EventsApi(api, deps).handle,
        methods=["GET"],
        operation_id="event",
        summary="What became of an event",
        description="Hops with times, lookups with costs, values with their provider, missing fields with reasons.",
        tags=[_TAG],
        dependencies=_KEYS,
        response_model=JourneyAnswer,
        response_description="The journey.",
        responses=_errors(401, 404, 503),
        openapi_extra={"parameters": [_EVENT_ID]},
    )


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorAnswer, "description": _WHY[status]} for status in statuses}
