"""Requests by idempotency key: one does the work, the others get its answer."""

from __future__ import annotations

import asyncio

import pytest

from enrichment_dagster.domain.config_providers import ProviderConfig
from enrichment_dagster.engine.purchase import LEASE_GRACE_SECONDS
from enrichment_dagster.store.api_requests import KEEP, TAKEN_FOR_DEAD, SqlApiRequests
from enrichment_dagster.store.tables import api_requests

ANSWER = {"status": 200, "body": '{"data":{"company_name":"Zürich \\u0000"},"cost_usd":0.1}'}
KEY, BODY, EVENT = "lead-4711", "b" * 64, "evt_1"


@pytest.fixture
def requests(rig):
    return SqlApiRequests(rig.committer, rig.clock)


@pytest.fixture
def elsewhere(other):
    return SqlApiRequests(other.committer, other.clock)


async def test_a_new_key_is_to_be_worked_on_and_a_known_one_is_not(requests, elsewhere):
    assert await requests.begin("crm", KEY, BODY, EVENT) is None
    earlier = await elsewhere.begin("crm", KEY, BODY, "evt_2")
    assert (earlier.event_id, earlier.body_hash, earlier.answer) == (EVENT, BODY, None)


async def test_an_answer_comes_back_as_it_was(requests, elsewhere):
    await requests.begin("crm", KEY, BODY, EVENT)
    await requests.finish("crm", KEY, ANSWER)
    earlier = await elsewhere.begin("crm", KEY, BODY, EVENT)
    assert earlier.answer == ANSWER


async def test_the_same_key_of_another_caller_is_another_key(requests):
    await requests.begin("crm", KEY, BODY, EVENT)
    assert await requests.begin("forms", KEY, BODY, EVENT) is None


async def test_of_many_at_once_one_does_the_work(requests, elsewhere):
    begun = await asyncio.gather(*(r.begin("crm", KEY, BODY, EVENT) for r in (requests, elsewhere) * 20))
    assert begun.count(None) == 1


async def test_a_dead_worker_is_taken_over_once(requests, elsewhere, rig):
    await requests.begin("crm", KEY, BODY, EVENT)
    rig.clock.advance(TAKEN_FOR_DEAD.total_seconds())
    assert await elsewhere.begin("crm", KEY, BODY, EVENT) is not None
    rig.clock.advance(0.1)
    begun = await asyncio.gather(*(r.begin("crm", KEY, BODY, EVENT) for r in (requests, elsewhere) * 5))
    assert begun.count(None) == 1


def test_it_is_taken_over_when_its_calls_to_providers_no_longer_count_as_under_way():
    """Earlier, the answer would lack all that the lost worker has asked for, and be kept."""
    lease = ProviderConfig.model_fields["timeout_seconds"].default + LEASE_GRACE_SECONDS
    assert lease < TAKEN_FOR_DEAD.total_seconds() < lease + 5


async def test_a_key_that_stands_for_another_body_is_not_taken_over(requests, rig):
    await requests.begin("crm", KEY, BODY, EVENT)
    rig.clock.advance(TAKEN_FOR_DEAD.total_seconds() + 1)
    assert (await requests.begin("crm", KEY, "c" * 64, EVENT)).body_hash == BODY


async def test_the_first_answer_counts(requests):
    await requests.begin("crm", KEY, BODY, EVENT)
    await requests.finish("crm", KEY, ANSWER)
    await requests.finish("crm", KEY, {"status": 200, "body": "other"})
    assert (await requests.begin("crm", KEY, BODY, EVENT)).answer == ANSWER


async def test_what_came_to_nothing_may_be_asked_again(requests):
    await requests.begin("crm", KEY, BODY, EVENT)
    await requests.release("crm", KEY)
    assert await requests.begin("crm", KEY, BODY, EVENT) is None


async def test_an_answer_is_not_released(requests):
    await requests.begin("crm", KEY, BODY, EVENT)
    await requests.finish("crm", KEY, ANSWER)
    await requests.release("crm", KEY)
    assert (await requests.begin("crm", KEY, BODY, EVENT)).answer == ANSWER


async def test_old_keys_are_forgotten_and_never_stored_in_plain(requests, rig):
    await requests.begin("crm", "old", BODY, EVENT)
    rig.clock.advance(KEEP.total_seconds())
    await requests.begin("crm", KEY, BODY, EVENT)
    assert await requests.forget_old() == 0
    rig.clock.advance(1)
    assert await requests.forget_old() == 1
    (row,) = rig.rows(api_requests)
    assert KEY not in str(row)


@pytest.mark.parametrize("key", ["'; DROP TABLE api_requests; --", "ключ", "\x00", "\ud800", "k" * 255])
async def test_any_text_is_a_key(requests, key):
    assert await requests.begin("crm", key, BODY, EVENT) is None
    await requests.finish("crm", key, ANSWER)
    assert (await requests.begin("crm", key, BODY, EVENT)).answer == ANSWER
