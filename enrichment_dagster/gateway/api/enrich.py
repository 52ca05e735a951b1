"""``POST /enrich``: one lead, answered within the deadline, or accepted to be enriched later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from enrichment_dagster.errors import IntakeError, Overloaded, StoreError
from enrichment_dagster.gateway.answers import failed, refused, unavailable
from enrichment_dagster.gateway.api import idempotency
from enrichment_dagster.gateway.api.bodies import answer_body, encode
from enrichment_dagster.gateway.api.callers import Caller
from enrichment_dagster.gateway.api.deps import EnrichDeps
from enrichment_dagster.gateway.api.idempotency import Idempotency, InProgress, Reply
from enrichment_dagster.gateway.api.request import Ask, InvalidRequest, make_ask, read_key, read_request, require_json
from enrichment_dagster.gateway.body import read_body
from enrichment_dagster.gateway.deps import GatewayDeps
from enrichment_dagster.gateway.refusals import RefusalLog
from enrichment_dagster.http.outbound import checked_target

MAX_BODY_BYTES = 65_536  # a request is a kilobyte
_STORE_SECONDS = 0.5  # after its deadline a caller is told that the store does not answer
_UNAUTHORIZED = 401
_SENDER = "enrich"  # in logs; what a caller sent is personal data


class EnrichApi:
    """The endpoint."""

    def __init__(self, api: EnrichDeps, deps: GatewayDeps) -> None:
        self._api = api
        self._deps = deps
        self._limits = replace(deps.limits, max_body_bytes=min(MAX_BODY_BYTES, deps.limits.max_body_bytes))
        self._once = Idempotency(api.requests, deps.clock)
        self._refusals = RefusalLog(deps.clock)

    async def handle(self, request: Request) -> Response:
        """Answer one request. What is answered with 2xx is durable."""
        try:
            caller = self._api.callers.identify(request.headers)
            ask = await self._read(request, caller)
            return _response(await self._reply(ask))
        except IntakeError as error:
            self._refusals.note(_SENDER, error.reason, type(error).__name__)
            return _refusal(error)
        except Overloaded:
            detail = "too many requests are being answered; come again"
            return failed(429, "overloaded", detail, headers={"retry-after": "1"})
        except (StoreError, SQLAlchemyError, TimeoutError):
            self._refusals.failed(_SENDER, "a request could not be stored")
            return unavailable("store_unavailable", "the request")

    async def drain(self) -> None:
        """Wait for what is being answered to clients that left."""
        await self._once.drain()

    async def _read(self, request: Request, caller: Caller) -> Ask:
        key = read_key(request.headers.get("idempotency-key"))
        require_json(request.headers.get("content-type", ""))
        body = await read_body(request, self._limits)
        read = read_request(body)
        ask = make_ask(read, body, caller, key, self._deps.clock.now(), self._api.deadline_seconds)
        self._check_type(ask)
        return self._with_target(ask) if ask.callback_url else ask

    def _check_type(self, ask: Ask) -> None:
        event_type = ask.event.event_type
        if ask.is_sync and not self._api.lane.routes(event_type):
            raise InvalidRequest("no_routing_plan", f"{event_type} has no routing plan; ask with mode async")
        if not ask.is_sync and event_type not in self._api.event_types:
            raise InvalidRequest("unknown_event_type", f"{event_type} is not configured")

    def _with_target(self, ask: Ask) -> Ask:
        if ask.caller.callback_key is None:
            raise InvalidRequest("no_callback_secret", "this caller has no callback secret, so nothing can be signed")
        try:
            url = checked_target(ask.callback_url, allow_loopback=self._api.local_callbacks)
        except IntakeError as error:
            raise InvalidRequest(error.reason, error.detail) from None
        return replace(ask, callback_url=url)

    async def _reply(self, ask: Ask) -> Reply:
        event = ask.event
        same = idempotency.Request(ask.caller.name, ask.key, ask.body_hash, event.event_id)
        begun = self._deps.clock.monotonic()
        work = partial(self._answer, ask, begun) if ask.is_sync else partial(self._accept, ask)
        over = _STORE_SECONDS if ask.is_sync else self._limits.commit_seconds
        async with asyncio.timeout(ask.deadline_seconds + over):
            return await self._once.once(same, work, ask.deadline_seconds)

    async def _answer(self, ask: Ask, begun: float) -> Reply:
        spent = self._deps.clock.monotonic() - begun  # on looking for an earlier request of the key
        result = await self._api.lane.answer(ask.event, ask.known, max(0.0, ask.deadline_seconds - spent))
        return Reply(200, encode(answer_body(result)))

    async def _accept(self, ask: Ask) -> Reply:
        event_id = ask.event.event_id
        if ask.callback_url:  # before the event: what is accepted must not lose its callback
            await self._api.owed.note(event_id, ask.caller.name, ask.callback_url)
        await self._deps.journal.append([ask.event])
        status_url = f"{self._api.public_url}/events/{event_id}"
        return Reply(202, encode({"event_id": event_id, "status_url": status_url}))


def _response(reply: Reply) -> Response:
    headers = {"idempotent-replayed": "true"} if reply.replayed else None
    return Response(reply.body, reply.status, headers, "application/json")


def _refusal(error: IntakeError) -> Response:
    if error.status == _UNAUTHORIZED:
        return failed(error.status, error.reason, error.detail, headers={"www-authenticate": "Bearer"})
    if isinstance(error, InProgress):
        return failed(error.status, error.reason, error.detail, headers={"retry-after": "1"})
    return refused(error)
