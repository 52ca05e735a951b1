"""POST /enrich with the routing lane itself behind it, in process, with lookups that follow a script."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from support.enrich import CALLERS, LEAD, SECOND_KEY, api_headers
from support.intake import asgi_call
from support.ports import ScriptedLookup
from support.routing import ANSWER, Routing

from enrichment_dagster.gateway.api.deps import EnrichDeps
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import GatewayDeps, Limits


async def ask(routing: Routing, requests: Any = None, **body: Any) -> tuple[int, Any]:
    """Make a request, with a key where there is a store of requests."""
    nothing: Any = None
    api = EnrichDeps(routing.lane, CALLERS, requests, nothing, lambda _event_id: None, frozenset({"lead_created"}))
    app = create_app(GatewayDeps([], routing.journal, routing.clock, Limits(100_000), enrich=api))
    headers = api_headers(SECOND_KEY) if requests is None else api_headers(SECOND_KEY, idempotency_key="lead-1")
    status, _, content = await asgi_call(app, "/enrich", json.dumps(body).encode(), headers)
    return status, content


class SlowRequests:
    """Takes a while to find out that a key is new."""

    def __init__(self, routing: Routing, seconds: float) -> None:
        self.clock, self.seconds = routing.clock, seconds

    async def begin(self, *_request: str) -> None:
        await self.clock.sleep(self.seconds)

    async def finish(self, *_answer: Any) -> None:
        return None


async def test_what_a_provider_brings_is_answered_and_the_event_recorded():
    routing = Routing()
    status, found = await ask(routing, **LEAD)
    assert (status, found["status"], found["data"]["employees"]) == (200, "enriched", 2_000)
    assert found["provenance"]["employees"]["provider"] == "apollo"
    assert found["provenance"]["company_name"]["provider"] == "api", "what the caller said is kept"
    assert (found["routing"]["segment"], found["cost_usd"], found["missing_fields"]) == ("enterprise", 0.02, {})
    (event,) = routing.journal.events.values()
    assert event.event_id == found["event_id"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"email": "not an address"}, "invalid_email"),
        ({"domain": "acme.com"}, "no_email"),
        ({"email": "", "domain": "acme.com"}, "no_email"),
    ],
)
async def test_a_lead_that_is_not_enriched_is_recorded_with_the_reason(body, reason):
    routing = Routing()
    status, found = await ask(routing, **body)
    assert (status, found["status"], found["reason"], found["cost_usd"]) == (200, "skipped", reason, 0.0)
    assert len(routing.journal.events) == 1
    assert routing.ledger.opened == []


@pytest.mark.parametrize(("deadline_ms", "seconds"), [(400, 0.4), (None, 2.5), (60_000, 3.0)])
async def test_a_slow_provider_does_not_hold_the_answer_up(deadline_ms, seconds):
    routing = Routing(ScriptedLookup(steps=[ANSWER], seconds=30.0, timeout_seconds=60.0))
    given = {} if deadline_ms is None else {"deadline_ms": deadline_ms}
    begun = routing.clock.monotonic()
    status, found = await ask(routing, email=LEAD["email"], **given)
    assert status == 200
    assert set(found["missing_fields"].values()) == {"timeout"}
    assert routing.clock.monotonic() - begun <= seconds


async def test_a_short_deadline_is_enough_for_a_quick_provider():
    routing = Routing(ScriptedLookup(steps=[ANSWER], seconds=0.03))
    begun = routing.clock.monotonic()
    assert (await ask(routing, **LEAD, deadline_ms=50))[1]["status"] == "enriched"
    assert routing.clock.monotonic() - begun <= 0.05


async def test_a_deadline_shorter_than_a_commit_is_answered_when_the_event_is_recorded():
    routing = Routing(ScriptedLookup(steps=[ANSWER], seconds=1.0))
    routing.journal.seconds = 0.02
    begun = routing.clock.monotonic()
    status, found = await ask(routing, **LEAD, deadline_ms=1)
    assert (status, found["status"], found["missing_fields"]) == (200, "failed", {"employees": "timeout"})
    assert routing.clock.monotonic() - begun == pytest.approx(0.02)
    assert len(routing.journal.events) == 1


async def test_the_time_that_a_key_takes_is_part_of_the_deadline():
    routing = Routing(ScriptedLookup(steps=[ANSWER], seconds=30.0, timeout_seconds=60.0))
    begun = routing.clock.monotonic()
    assert (await ask(routing, SlowRequests(routing, 0.3), **LEAD, deadline_ms=1_000))[0] == 200
    assert routing.clock.monotonic() - begun <= 1.0


async def test_a_journal_that_does_not_answer_is_a_503():
    routing = Routing()
    routing.journal.failure = OSError("disk full")
    status, found = await ask(routing, **LEAD)
    assert (status, found["error"]["reason"]) == (503, "store_unavailable")
    assert "disk" not in found["error"]["detail"]


async def test_a_store_of_requests_that_hangs_is_a_503_soon_after_the_deadline():
    class Hanging(SlowRequests):
        async def begin(self, *_request: str) -> None:
            await asyncio.Event().wait()

    routing = Routing()
    async with asyncio.timeout(2.0):
        status, found = await ask(routing, Hanging(routing, 0.0), **LEAD, deadline_ms=100)
    assert (status, found["error"]["reason"]) == (503, "store_unavailable")


async def test_no_place_and_no_line_is_a_429():
    routing = Routing(at_once=0, most_waiting=0)
    status, found = await ask(routing, **LEAD)
    assert (status, found["error"]["reason"]) == (429, "overloaded")
    assert routing.journal.events == {}
