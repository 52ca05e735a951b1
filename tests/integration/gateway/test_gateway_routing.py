"""Webhooks and the routing lane: reserved before the commit, routed after it, and the answer waits for neither."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from support.intake import NOW, asgi_call, contact_creation, encode, hubspot_headers
from support.ports import ScriptedLookup
from support.routing import ANSWER, Routing

from enrichment_dagster.domain.event import Lane, RecordRef
from enrichment_dagster.engine.routing import RoutingCounts
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.routing import route_leads
from enrichment_dagster.intake.imports import MOST_TOGETHER


@pytest.fixture
def routing():
    return Routing(ScriptedLookup("apollo.company", steps=[ANSWER], seconds=0.3))


@pytest.fixture
def post(deps, memory_journal, routing):
    routing.lane.journal = memory_journal
    app = create_app(replace(deps, routing=routing.lane))

    async def post(*events):
        body = encode(list(events))
        return await asgi_call(app, "/webhooks/hubspot", body, hubspot_headers(body, NOW))

    return post


def lanes(journal):
    return [event.lane for event in journal.events.values()]


async def test_a_lead_is_recorded_as_reserved_and_answered_before_anything_else_happens(post, memory_journal, routing):
    status, _, content = await post(contact_creation(1, changeSource="CRM_UI"))
    assert (status, content["accepted"]) == (200, 1)
    (event,) = memory_journal.events.values()
    assert event.lane is Lane.ROUTING
    assert event.reserved_until > event.received_at
    assert (routing.crm.reads, routing.ledger.opened) == ([], [])


async def test_an_import_is_recorded_for_the_standard_lane(post, memory_journal):
    await post(contact_creation(1, changeSource="IMPORT"))
    await post(*(contact_creation(100 + number, changeSource="CRM_UI") for number in range(MOST_TOGETHER + 1)))
    assert set(lanes(memory_journal)) == {Lane.STANDARD}


async def test_only_what_is_new_is_routed(post, routing):
    routing.clock._start = NOW
    routing.crm.records[RecordRef("hubspot", "contact", "1")] = {"p_email": "jane@acme.com"}
    await post(contact_creation(1, changeSource="CRM_UI"))
    await post(contact_creation(1, changeSource="CRM_UI"))
    await routing.lane.drain()
    assert len(routing.concluded) == 1


async def test_what_the_journal_did_not_take_is_not_routed(post, memory_journal, routing):
    memory_journal.failure = OSError("disk full")
    status, _, _ = await post(contact_creation(1, changeSource="CRM_UI"))
    assert status == 503
    await routing.lane.drain()
    assert routing.crm.reads == []


class TestBesideTheRequests:
    async def test_the_end_of_the_server_finishes_what_is_in_hand_and_then_closes(self, routing):
        """Webhooks that were answered are routed, what was answered is stored, and connections close last."""
        order = []

        async def close():
            order.append(("closed", len(routing.concluded)))

        shared: list[RoutingCounts] = []
        task = asyncio.create_task(route_leads(routing.lane, routing.clock, shared.append, close)())
        await asyncio.sleep(0)
        await routing.webhook(routing.lead(1))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert order == [("closed", 1)]
        assert [dict(counts.outcomes) for counts in shared] == [{"enriched": 1}]

    async def test_counts_that_can_not_be_shared_do_not_end_the_lane(self, routing, captured_logs):
        async def close():
            pass

        def broken(_counts):
            raise OSError("away")

        task = asyncio.create_task(route_leads(routing.lane, routing.clock, broken, close)())
        await routing.ask(1)
        await routing.clock.sleep(25)
        assert not task.done()
        await routing.ask(2)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert "counts of the routing lane are lost" in [entry["event"] for entry in captured_logs]
