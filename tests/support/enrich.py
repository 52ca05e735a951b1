"""The API over sockets: a routing lane that follows a script, real stores, and requests that callers make."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from support.gateway import Client, Reply, serve_in_thread

from enrichment_dagster.clock import Clock, SystemClock
from enrichment_dagster.composition import Stores
from enrichment_dagster.domain.event import Event
from enrichment_dagster.domain.fields import FieldValue
from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.domain.routing import RoutingDecision
from enrichment_dagster.engine.routing_result import RoutingResult
from enrichment_dagster.gateway.answers_owed import AnswersOwed, post_owed_answers
from enrichment_dagster.gateway.api.callers import Caller, Callers
from enrichment_dagster.gateway.api.deps import EnrichDeps
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import Background, GatewayDeps, Limits
from enrichment_dagster.http.outbound import Outbound
from enrichment_dagster.ports import Journal
from enrichment_dagster.store.api_requests import SqlApiRequests
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.explain import ExplainStore
from enrichment_dagster.store.owed_answers import SqlOwedAnswers

KEY, SECOND_KEY, OTHER_KEY = "key-of-crm-0001", "key-of-crm-0002", "key-of-forms-0001"
CALLBACK_KEY = b"callback-secret-of-24-byt"
CALLERS = Callers(
    [(KEY, Caller("crm", CALLBACK_KEY)), (SECOND_KEY, Caller("crm", CALLBACK_KEY)), (OTHER_KEY, Caller("forms"))]
)
LEAD = {"email": "dana.reyes@northwind-parts.com", "company": "Northwind Parts"}


@dataclass
class ScriptedLane:
    """Records each event and answers at once, or when ``gate`` opens; ``failure`` is raised in place of an answer."""

    journal: Journal
    failure: Exception | None = None
    gate: threading.Event | None = None
    asked: list[tuple[Event, dict[str, Any], float]] = field(default_factory=list)
    finished: int = 0

    def routes(self, event_type: str) -> bool:
        return event_type == "lead_created"

    async def answer(self, event: Event, known: Mapping[str, Any], deadline_seconds: float) -> RoutingResult:
        self.asked.append((event, dict(known), deadline_seconds))
        if self.failure is not None:
            raise self.failure
        await self.journal.append([event])
        if self.gate is not None:
            await asyncio.to_thread(self.gate.wait, 10)
        self.finished += 1
        return a_result(event, known)


def a_result(event: Event, known: Mapping[str, Any]) -> RoutingResult:
    at = event.received_at
    values = {name: FieldValue(name, value, "api", "email:x", at) for name, value in known.items()}
    values["employees"] = FieldValue("employees", 340, "apollo", "domain:x", at, confidence=0.9)
    decision = RoutingDecision("mid_market", 25, "inside_sales", ("100 to 999 employees",))
    missing = {"industry": MissingReason.TIMEOUT}
    return RoutingResult(event.event_id, "partial", "", values, missing, decision, 20_000, 12.34)


@dataclass
class Api:
    """A running gateway with the API, and what it was built from."""

    client: Client
    lane: ScriptedLane
    app: Any

    def enrich(self, body: Any = None, key: str | None = KEY, **headers: str) -> Reply:
        content = body if isinstance(body, bytes) else json.dumps(LEAD if body is None else body).encode()
        return self.client.post("/enrich", content, api_headers(key, **headers))

    def event(self, event_id: str, key: str | None = KEY) -> Reply:
        return self.client.request("GET", f"/events/{event_id}", api_headers(key))


def api_headers(key: str | None = KEY, **headers: str) -> dict[str, str]:
    given = {"content-type": "application/json"} | ({} if key is None else {"authorization": f"Bearer {key}"})
    return given | {name.replace("_", "-"): value for name, value in headers.items()}


@contextmanager
def running_api(stores: Stores, journal: Journal, *, posts: bool = False, **changes: Any) -> Iterator[Api]:
    """Serve the API; a second one on the same stores is another process to them."""
    clock: Clock = SystemClock()
    committer = GroupCommitter(stores.ops, "api")
    lane = ScriptedLane(journal)
    owed = SqlOwedAnswers(committer, clock)
    read_story = ExplainStore(stores.journal, stores.ops).story
    given: dict[str, Any] = {
        "lane": lane,
        "callers": CALLERS,
        "requests": SqlApiRequests(committer, clock),
        "owed": owed,
        "read_story": read_story,
        "event_types": frozenset({"lead_created", "website_visit"}),
        "local_callbacks": True,
    }
    background: list[Background] = []
    if posts:
        outbound = Outbound(allow_loopback=True)
        background.append(
            post_owed_answers(AnswersOwed(owed, outbound, CALLERS, read_story, clock), clock, outbound.aclose)
        )
    limits = Limits(max_body_bytes=1_000_000, body_seconds=0.5)
    app = create_app(
        GatewayDeps([], journal, clock, limits, background=background, enrich=EnrichDeps(**(given | changes)))
    )
    try:
        with serve_in_thread(app) as client:
            yield Api(client, lane, app)
    finally:
        committer.close()


def refusal(reply: Reply) -> tuple[int, str]:
    """The status and the reason of an error answer."""
    return reply.status, reply.content["error"]["reason"]
