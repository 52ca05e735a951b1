"""The journal: what is acknowledged is there, once, in the order of arrival."""

from __future__ import annotations

import asyncio

import pytest
from support.builders import an_event
from support.clock import START
from support.rig import Rig

from enrichment_dagster.errors import StoreError
from enrichment_dagster.ports import KeptBody
from enrichment_dagster.store.tables import journal, kept_bodies


def records(rig):
    return [row["subject_id"] for row in sorted(rig.rows(journal), key=lambda row: row["seq"])]


async def test_a_redelivery_is_recognised(rig):
    event = an_event(1)
    assert await rig.journal.append([event]) == [True]
    assert await rig.journal.append([event]) == [False]
    assert records(rig) == ["1"]


async def test_a_fact_that_comes_twice_in_one_request_is_stored_once(rig):
    assert await rig.journal.append([an_event(1), an_event(2), an_event(1)]) == [True, True, False]


async def test_a_fact_that_comes_in_two_requests_at_once_is_new_for_exactly_one(rig):
    answers = await asyncio.gather(*(rig.journal.append([an_event(1)]) for _ in range(20)))
    assert sorted(answer[0] for answer in answers) == [False] * 19 + [True]
    assert records(rig) == ["1"]


async def test_two_gateways_never_both_take_an_event_for_new(rig, other):
    answers = await asyncio.gather(*(one.journal.append([an_event(1)]) for one in (rig, other) * 5))
    assert sum(answer[0] for answer in answers) == 1


async def test_a_request_keeps_the_order_of_its_events(rig):
    await rig.receive(*range(300))
    assert records(rig) == [str(number) for number in range(300)]


async def test_an_event_comes_back_as_it_went_in(rig):
    sent = an_event(1, attributes={"email": "jörg@müller.de", "n": [1, None, {"a": "😀"}]}, skip_reason="")
    await rig.journal.append([sent])
    rig.dispatch.pump()
    lease = rig.start(rig.assign())
    (item,) = rig.work.open_items(lease.batch_id)
    assert (item.event.attributes, item.event.subject) == (sent.attributes, sent.subject)
    assert (item.event.occurred_at, item.event.received_at) == (sent.occurred_at, sent.received_at)


async def test_what_was_answered_is_there_for_the_next_process(rig):
    await rig.receive(1)
    other = rig.another()
    assert records(other) == ["1"]
    assert other.journal.last_seq() == rig.journal.last_seq() > 0
    other.close()


async def test_a_body_that_can_not_be_read_is_kept_byte_for_byte(rig):
    body = bytes(range(256))
    await rig.journal.keep(KeptBody("hubspot", "malformed", "no JSON", body, START))
    (row,) = rig.rows(kept_bodies)
    assert (row["body"], row["reason"]) == (body, "malformed")
    assert rig.health.kept_bodies() == {"malformed": 1}


async def test_one_request_that_the_store_does_not_take_costs_only_itself(rig):
    """A group commit must not turn one bad event into a refusal for all who came at that moment."""
    bad = an_event(2, attributes={"n": object()})
    answers = await asyncio.gather(
        rig.journal.append([an_event(1)]),
        rig.journal.append([bad]),
        rig.journal.append([an_event(3)]),
        return_exceptions=True,
    )
    assert answers[0] == [True]
    assert isinstance(answers[1], Exception)
    assert answers[2] == [True]
    assert sorted(records(rig)) == ["1", "3"]


async def test_an_asker_that_went_away_does_not_stop_the_writer(rig):
    """Incident in review: a cancelled request raised in the writer's thread, and every later one hung forever."""
    for number in range(30):
        asker = asyncio.create_task(rig.journal.append([an_event(number)]))
        await asyncio.sleep(0)
        asker.cancel()
    assert await asyncio.wait_for(rig.journal.append([an_event(99)]), 10) == [True]


async def test_after_closing_nothing_is_accepted_and_nothing_asked_before_is_lost(place):
    rig = Rig(place)
    asked = [asyncio.create_task(rig.journal.append([an_event(number)])) for number in range(50)]
    await asyncio.sleep(0)
    rig.close()
    assert await asyncio.gather(*asked) == [[True]] * 50
    with pytest.raises(StoreError, match="closed"):
        await rig.journal.append([an_event(99)])
