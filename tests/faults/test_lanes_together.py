"""The two lanes on one lead, with real stores, adapters and emulators: nothing is lost between them or bought twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from inprocess import Pipeline, running_pipeline
from sqlalchemy import update

from enrichment_dagster.composition import preload_all
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.engine.routing import RoutingLane
from enrichment_dagster.gateway.services import open_routing
from enrichment_dagster.store.tables import work

KNOWN_TO_ALL = 0  # Dana Reyes of Northwind Parts: both providers know her without gaps


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    preload_all()  # as the gateway does before it serves
    with running_pipeline(tmp_path) as found:
        yield found


def new_lead(pipeline: Pipeline, system: str = "hubspot") -> Event:
    """Create a record; its event is recorded nowhere yet."""
    who = pipeline.sandbox.world.person(KNOWN_TO_ALL)
    record = pipeline.sandbox.state.hubspot.create({"email": who.email, "firstname": who.first_name})
    now = datetime.now(UTC)
    return Event(
        event_id=f"evt_{record.id}",
        dedup_key=record.id,
        event_type="lead_created",
        source=system,
        subject=RecordRef(system, "contact", record.id),
        occurred_at=now,
        received_at=now,
    )


def in_gateway(pipeline: Pipeline, event: Event, *, survives: bool) -> None:
    """Do what the gateway does with a webhook: reserve, commit, route; then store and deliver, or die before that."""
    service = open_routing(pipeline.settings, pipeline.stores, pipeline.journal, "gateway-1")
    assert service is not None
    lane = service.lane

    async def live() -> None:
        reserved = lane.reserve([event], [True])
        await pipeline.journal.append(reserved)
        lane.take(reserved, stored_after_seconds=0.001)
        routing = asyncio.create_task(lane.route_webhooks())
        try:
            await _until_routed(lane)
        finally:
            routing.cancel()
        if survives:
            await lane.drain()
        await service.aclose()

    asyncio.run(live())
    service.close()


async def _until_routed(lane: RoutingLane) -> None:
    """Wait for the answer, and for calls that it did not wait for: who dies in one may pay for it again."""
    routed = False
    for _ in range(500):
        await asyncio.sleep(0.02)
        routed = routed or not lane.take_counts().is_empty
        if routed and not lane._buyer.in_flight:
            return
    raise AssertionError("the lead was not routed")


def times_billed(pipeline: Pipeline) -> dict[str, int]:
    billed: dict[str, dict[str, int]] = pipeline.sandbox.state.counters.as_data()["billed_subjects"]
    return {f"{endpoint} {subject}": n for endpoint, subjects in billed.items() for subject, n in subjects.items()}


def reservation_over(pipeline: Pipeline) -> None:
    """Let the reservations' time pass."""
    pipeline.stores.dispatch().pump()
    with pipeline.stores.ops.write() as connection:
        connection.execute(update(work).where(work.c.state == "due").values(due_at_ms=0))


def test_the_standard_lane_adds_what_routing_does_not_want_and_buys_nothing_again(pipeline: Pipeline) -> None:
    event = new_lead(pipeline)
    in_gateway(pipeline, event, survives=True)
    routed = pipeline.fields(event.subject)
    assert routed["company"]
    assert routed["numberofemployees"]
    assert not routed.get("jobtitle")
    assert not routed.get("enrichment_status")
    bought = times_billed(pipeline)
    assert set(bought.values()) == {1}

    assert pipeline.run().outcomes == {"enriched": 1}
    told = pipeline.fields(event.subject)
    assert told["jobtitle"]
    assert told["enrichment_status"] == "Complete"
    assert {name: told[name] for name in ("company", "numberofemployees")} == {
        name: routed[name] for name in ("company", "numberofemployees")
    }
    after = times_billed(pipeline)
    assert set(after.values()) == {1}
    new = {name.partition(" ")[0] for name in after.keys() - bought.keys()}
    assert all(name.startswith("zerobounce") for name in new), "only what routing does not ask for"


def test_a_gateway_that_dies_before_its_results_are_stored_loses_nothing(pipeline: Pipeline) -> None:
    """Between the answer and the conclusion: the reservation runs out, the standard lane does it all from the cache."""
    event = new_lead(pipeline)
    in_gateway(pipeline, event, survives=False)
    assert not pipeline.fields(event.subject).get("company")
    pipeline.stores.dispatch().pump()
    assert pipeline.enrich().outcomes.total() == 0, "still reserved"
    bought = times_billed(pipeline)

    reservation_over(pipeline)
    assert pipeline.run().outcomes == {"enriched": 1}
    assert pipeline.fields(event.subject)["enrichment_status"] == "Complete"
    after = times_billed(pipeline)
    assert {name: after[name] for name in bought} == bought
    assert pipeline.stores.health().balance().holds


def test_an_answer_to_a_caller_without_a_record_is_the_events_end(pipeline: Pipeline) -> None:
    event = new_lead(pipeline)
    email = pipeline.fields(event.subject)["email"]
    asked = replace(event, subject=RecordRef("api", "lead", "1"), attributes={"email": email})
    service = open_routing(pipeline.settings, pipeline.stores, pipeline.journal, "gateway-1")
    assert service is not None
    found: list[Any] = []

    async def ask() -> None:
        found.append(await service.lane.answer(asked, {}, 2.5))
        await service.lane.drain()
        await service.aclose()

    asyncio.run(ask())
    service.close()
    (result,) = found
    assert result.status == "enriched"
    balance = pipeline.stores.health().balance()
    assert (balance.received, balance.terminal, balance.in_flight) == (1, 1, 0)
    reservation_over(pipeline)
    assert pipeline.enrich().outcomes.total() == 0
