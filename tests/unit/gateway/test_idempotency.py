"""A request that takes over the key of one that was lost: with enough time for a good answer, or not at all."""

from __future__ import annotations

import pytest
from support.clock import ManualClock

from enrichment_dagster.errors import StoreError
from enrichment_dagster.gateway.api.idempotency import Idempotency, InProgress, Reply, Request
from enrichment_dagster.ports import ApiRequest

REQUEST = Request("forms", "lead-1", "hash", "evt_1")
PATIENCE = 2.0


class Requests:
    """Somebody else has the key until a moment, and gives no answer."""

    def __init__(self, clock: ManualClock, lost_after: float) -> None:
        self.clock, self.free_at = clock, clock.monotonic() + lost_after
        self.released, self.answers, self.seconds = 0, [], 0.0

    async def begin(self, caller, key, body_hash, event_id):
        await self.clock.sleep(self.seconds)
        taken = self.clock.monotonic() < self.free_at
        return ApiRequest(event_id, body_hash, None) if taken else None

    async def finish(self, caller, key, answer):
        self.answers.append(answer)

    async def release(self, caller, key):
        self.released += 1


async def work():
    return Reply(200, b"{}")


async def test_a_key_that_becomes_free_early_is_taken_over():
    clock = ManualClock()
    requests = Requests(clock, lost_after=0.5)
    assert await Idempotency(requests, clock).once(REQUEST, work, PATIENCE) == Reply(200, b"{}")
    assert (requests.released, len(requests.answers)) == (0, 1)


@pytest.mark.parametrize(
    ("lost_after", "store_seconds", "error"),
    [
        pytest.param(1.5, 0.0, InProgress, id="a key that becomes free late is left to the next request"),
        pytest.param(0.0, 1.5, StoreError, id="a store that takes too long is no reason for a poor answer"),
    ],
)
async def test_what_a_hurried_answer_lacks_is_not_lacking_for_as_long_as_answers_are_kept(
    lost_after, store_seconds, error
):
    clock = ManualClock()
    requests = Requests(clock, lost_after)
    requests.seconds = store_seconds
    with pytest.raises(error):
        await Idempotency(requests, clock).once(REQUEST, work, PATIENCE)
    assert (requests.released, requests.answers) == (1, [])


async def test_a_short_deadline_is_not_too_short_for_a_key():
    clock = ManualClock()
    requests = Requests(clock, lost_after=0.0)
    requests.seconds = 0.01
    assert await Idempotency(requests, clock).once(REQUEST, work, 0.001) == Reply(200, b"{}")
