"""The ASGI application: finds the endpoint, lets its fault plan act, counts, answers.

A plain ASGI callable without a framework, because the sandbox shares its cores with what is measured against it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from enrichment_dagster.sandbox.apollo import apollo_routes
from enrichment_dagster.sandbox.clay import Clay
from enrichment_dagster.sandbox.clearbit import Clearbit
from enrichment_dagster.sandbox.competitors import Competitors
from enrichment_dagster.sandbox.control import Control
from enrichment_dagster.sandbox.faults import Behaviour
from enrichment_dagster.sandbox.hubspot_routes import hubspot_routes
from enrichment_dagster.sandbox.hunter import Hunter
from enrichment_dagster.sandbox.openai import OpenAI
from enrichment_dagster.sandbox.people_data_labs import PeopleDataLabs
from enrichment_dagster.sandbox.salesforce import Salesforce
from enrichment_dagster.sandbox.spoil import spoiled
from enrichment_dagster.sandbox.state import SandboxState
from enrichment_dagster.sandbox.windows import Allowance, FixedWindow
from enrichment_dagster.sandbox.wire import Endpoint, Header, Request, Response, text_response
from enrichment_dagster.sandbox.zerobounce import ZeroBounce

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONTROL_PREFIX = "/_sandbox/"
_SETTLED = (200, 404)  # What a vendor in the background may still be working on; a refusal comes at once.
_SALESFORCE_VERSION = re.compile(r"^/salesforce/services/data/v\d{2}\.0/")
_HUBSPOT_RECORD = re.compile(r"^(/hubspot/crm/v4/objects/[a-z]+/)[^/]+(/associations/)")


class SandboxApp:
    """All emulators of one sandbox as one ASGI application."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        config, world = state.config, state.world
        self._routes: dict[tuple[str, str], Endpoint] = {
            **apollo_routes(state),
            **Clearbit(config, world).routes(),
            **PeopleDataLabs(config, world).routes(),
            **Hunter(config, world).routes(),
            **ZeroBounce(config, world).routes(),
            **OpenAI(config).routes(),
            **Clay(config, world, state.clay_tables, state.callbacks).routes(),
            **Competitors(config, world).routes(),
            **hubspot_routes(config, state.stores, state.links),
            **Salesforce(state.sessions, state.stores).routes(),
        }
        self._windows: dict[tuple[str, float], FixedWindow] = {}
        self._control = Control(state)

    async def close(self) -> None:
        """End what still waits to be called back."""
        await self._state.callbacks.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        body = b"" if method == "GET" else await _read_body(receive)
        request = Request(method, path, scope["query_string"], scope["headers"], body)
        if path.startswith(CONTROL_PREFIX):
            response = self._control.answer(request)
        else:
            endpoint = self._find(request)
            response = await self._serve(endpoint, request) if endpoint else text_response(404, "no such call")
        await _send(send, response)

    def _find(self, request: Request) -> Endpoint | None:
        """The endpoint of a request; remembers the path segment, last or last but one, that a route leaves open.

        A Salesforce version and the record of a HubSpot association are open in any case.
        """
        path = _SALESFORCE_VERSION.sub("/salesforce/services/data/v*/", request.path)
        path = _HUBSPOT_RECORD.sub(r"\1*\2", path)
        endpoint = self._routes.get((request.method, path))
        if endpoint is None:
            head, _, tail = path.rpartition("/")
            endpoint = self._routes.get((request.method, head + "/"))
            request.tail = tail
        if endpoint is None:
            head, _, request.tail = head.rpartition("/")
            endpoint = self._routes.get((request.method, f"{head}/*/{tail}"))
        return endpoint

    async def _serve(self, endpoint: Endpoint, request: Request) -> Response:
        name = endpoint.name
        subjects = endpoint.subjects(request)
        key = endpoint.key(request)
        self._state.counters.begin(name, self._key_label(name, key), subjects)
        behaviour = self._state.plan.behaviour(name)
        subject = subjects[0] if subjects else ""
        nth = self._state.counters.times_asked(name, subject) if subjects else self._state.counters.calls(name)
        decision = self._state.plan.decide(name, subject, nth)
        pending = endpoint.pending is not None and self._state.plan.pending(name, subject, nth)
        kind: str | None = decision.kind
        status = 0
        try:
            if decision.delay_seconds > 0:
                await asyncio.sleep(decision.delay_seconds)
            refused = self._over_limit(endpoint, request, key, behaviour)
            if refused is not None:
                kind, response = "rate_limit", refused
            else:
                response = await self._answer(endpoint, request, behaviour, kind, pending=pending)
            status = response.status
            return response
        finally:
            self._state.counters.end(name, status, kind)

    async def _answer(
        self, endpoint: Endpoint, request: Request, behaviour: Behaviour, kind: str | None, *, pending: bool
    ) -> Response:
        if kind == "error":
            return endpoint.error(behaviour.error_status)
        if kind == "throttle":
            return endpoint.throttled(endpoint.name, behaviour.retry_after_seconds)
        if kind == "lock" and endpoint.locked is not None:
            return endpoint.locked(request)
        response = endpoint.variants.get(kind or "", endpoint.handle)(request)
        if pending and endpoint.pending is not None and response.status in _SETTLED:
            response = endpoint.pending()
        if response.billed:
            self._state.counters.bill(endpoint.name, response.billed)
        if kind is None:
            return response
        if kind == "hang":
            await asyncio.sleep(behaviour.hang_seconds)
        return spoiled(response, kind, behaviour.huge_body_bytes)

    def _over_limit(self, endpoint: Endpoint, request: Request, key: str, behaviour: Behaviour) -> Response | None:
        """The vendor's refusal when a plan sets a rate limit. HubSpot counts all its calls together.

        The request learns how far the window is used: without a limit there is nothing that headers could tell.
        """
        if behaviour.rate_limit <= 0:
            return None
        scope = "hubspot" if endpoint.name.startswith("hubspot.") else endpoint.name
        place = (scope, behaviour.rate_window_seconds)
        window = self._windows.get(place)
        if window is None:
            window = self._windows[place] = FixedWindow(behaviour.rate_window_seconds)
        limit, used, left = behaviour.rate_limit, window.add(key), window.seconds_left()
        request.allowance = Allowance(limit, used, window.seconds, left)
        if used <= limit:
            return None
        return endpoint.throttled(endpoint.name, max(1.0, left))

    def _key_label(self, name: str, key: str) -> str:
        """What the counters show: a key that is not accepted is not repeated."""
        if name.startswith("salesforce.") or self._state.config.accepts_key(key):
            return key or "(none)"
        return "(rejected)" if key else "(none)"


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _send(send: Send, response: Response) -> None:
    headers: tuple[Header, ...] = response.headers
    if response.status != 204:
        headers = (*headers, (b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
