"""``GET /events/{event_id}``: the journey of one event, for whoever has a key."""

from __future__ import annotations

import asyncio
import re

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from enrichment_dagster.errors import IntakeError
from enrichment_dagster.gateway.answers import failed
from enrichment_dagster.gateway.api.bodies import encode
from enrichment_dagster.gateway.api.deps import EnrichDeps
from enrichment_dagster.gateway.deps import GatewayDeps
from enrichment_dagster.journey.report import build_explanation
from enrichment_dagster.store.story import Story

EVENTS_PATH = "/events/{event_id}"
AT_ONCE = 1
"""Events that are read at once; others wait. Reading is work for the processor, which leads must not wait for."""

_EVENT_ID = re.compile(r"evt_[0-9a-f]{24}")

_log = structlog.get_logger(__name__)


class EventsApi:
    """The endpoint."""

    def __init__(self, api: EnrichDeps, deps: GatewayDeps) -> None:
        self._api = api
        self._deps = deps
        self._reading = asyncio.Semaphore(AT_ONCE)

    async def handle(self, request: Request) -> Response:
        """Tell where the event is and what became of it."""
        try:
            self._api.callers.identify(request.headers)
        except IntakeError as error:
            return failed(error.status, error.reason, error.detail, headers={"www-authenticate": "Bearer"})
        event_id = request.path_params["event_id"]
        try:
            async with asyncio.timeout(self._deps.limits.commit_seconds):
                story = await self._story(event_id)
        except (SQLAlchemyError, TimeoutError):
            _log.exception("an event could not be read")
            return failed(503, "store_unavailable", "the store does not answer", headers={"retry-after": "5"})
        if story is None:
            return failed(404, "unknown_event", "there is no event of this id")
        report = build_explanation(story, self._deps.clock.now(), values=True)
        return Response(encode(report), media_type="application/json")

    async def _story(self, event_id: str) -> Story | None:
        if not _EVENT_ID.fullmatch(event_id):
            return None
        async with self._reading:
            return await asyncio.to_thread(self._api.read_story, event_id)
