"""Late answers: who may bring one, what it costs, and when the next poll is due."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from structlog.testing import capture_logs
from support.clock import START, ManualClock
from support.late import ATTEMPT, EMAIL, PRICE, TOKEN, TTL, LateLookup, a_waiting, phone

from enrichment_dagster.engine.late import CallbackResult, LateAnswers, restored_query, stored_query
from enrichment_dagster.errors import ProviderError, StoreError
from enrichment_dagster.ports import Answer, CachePolicy, Charge, Pending, PendingStore, Query

FOUND = {"status": "done", "phone": "+14155550132"}


@dataclass
class MemoryPending:
    """``PendingStore`` in memory, with the rules of the real one."""

    clock: ManualClock
    calls: dict = field(default_factory=dict)  # token -> WaitingAnswer
    due_at: dict = field(default_factory=dict)  # attempt id -> moment
    settled: list = field(default_factory=list)
    failure: Exception | None = None

    async def find(self, token):
        return self.calls.get(token)

    async def complete(self, waiting, settlement):
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        token, row = next((t, w) for t, w in self.calls.items() if w.attempt_id == waiting.attempt_id)
        if row.state not in {"opened", "waiting"} or row.expires_at <= self.clock.now():
            return False
        self.calls[token] = replace(row, state="answered")
        self.settled.append(settlement)
        return True

    async def due_polls(self, limit):
        now = self.clock.now()
        due = [w for w in self.calls.values() if w.state == "waiting" and self.due_at.get(w.attempt_id, START) <= now]
        return due[:limit]

    async def put_off(self, attempt_id, next_poll_at):
        token, row = next((t, w) for t, w in self.calls.items() if w.attempt_id == attempt_id)
        self.calls[token] = replace(row, polls=row.polls + 1)
        self.due_at[attempt_id] = next_poll_at

    async def expire(self):
        return 3


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def pending(clock):
    return MemoryPending(clock, {TOKEN: a_waiting()})


MEMORY = CachePolicy(86_400, 43_200)


def late_of(pending, lookup, **changes):
    store: PendingStore = pending
    return LateAnswers(store, {lookup.name: lookup}, pending.clock, MEMORY, **changes)


async def deliver(pending, body=FOUND, *, token=TOKEN, provider="apollo", **lookup):
    return await late_of(pending, LateLookup(**lookup)).deliver(token, provider, body)


# --- by callback ---------------------------------------------------------------------------------------------------


async def test_an_answer_is_settled_as_a_hit_under_the_request_that_it_belongs_to(pending):
    assert (await deliver(pending)).result is CallbackResult.ACCEPTED
    (settled,) = pending.settled
    assert (settled.attempt_id, settled.key, settled.outcome) == (ATTEMPT, a_waiting().key, "hit")
    assert settled.answer == replace(phone(), request_id="req-7")


async def test_an_answer_that_comes_before_the_call_has_returned_is_taken(pending):
    pending.calls[TOKEN] = a_waiting(state="opened")
    assert (await deliver(pending)).result is CallbackResult.ACCEPTED


@pytest.mark.parametrize(
    ("charge", "body", "outcome", "cost"),
    [
        (Charge.ON_HIT, FOUND, "hit", PRICE),
        (Charge.ON_HIT, {"status": "done"}, "miss", 0),
        (Charge.ON_CALL, {"status": "done"}, "miss", PRICE),
    ],
)
async def test_the_price_is_due_as_the_lookup_charges(pending, charge, body, outcome, cost):
    await deliver(pending, body, charge=charge)
    (settled,) = pending.settled
    assert (settled.outcome, settled.cost_micros) == (outcome, cost)


async def test_the_answers_units_multiply_the_price(pending):
    lookup = LateLookup([phone(units=3)])
    assert await late_of(pending, lookup).poll_due(10) == 1
    assert pending.settled[0].cost_micros == 3 * PRICE


@pytest.mark.parametrize(
    ("own", "remembered"),
    [
        (None, (86_400, 43_200, 3_600)),
        (CachePolicy(0, 0), (3_600, 3_600, 3_600)),
        (CachePolicy(9_000, 8_000, 7_000), (9_000, 8_000, 7_000)),
    ],
)
async def test_an_answer_is_remembered_long_enough_for_the_work_that_it_wakes(pending, own, remembered):
    await deliver(pending, cache=own)
    memory = pending.settled[0].cache
    assert (memory.hit_seconds, memory.miss_seconds, memory.error_seconds) == remembered


async def test_a_provider_that_still_works_on_it_is_heard_and_nothing_changes(pending):
    assert (await deliver(pending, {"status": "pending"})).result is CallbackResult.STILL_PENDING
    assert (pending.settled, pending.calls[TOKEN].state) == ([], "waiting")


@pytest.mark.parametrize("body", [None, [], "x", {}, {"phone": "+1"}])
async def test_what_cannot_be_read_leaves_the_call_waiting(pending, body):
    delivery = await deliver(pending, body)
    assert (delivery.result, delivery.reason) == (CallbackResult.UNREADABLE, "malformed")
    assert (await deliver(pending)).result is CallbackResult.ACCEPTED


async def test_a_fault_of_an_adapter_counts_as_unreadable(pending):
    class Broken(LateLookup):
        def read_callback(self, body):
            return body["data"]["phone"]

    delivery = await late_of(pending, Broken()).deliver(TOKEN, "apollo", FOUND)
    assert (delivery.result, delivery.reason) == (CallbackResult.UNREADABLE, "adapter_fault")


async def test_the_answer_of_a_lookup_that_is_not_configured_any_more_is_unreadable(pending):
    delivery = await deliver(pending, name="apollo.person")
    assert (delivery.result, delivery.reason) == (CallbackResult.UNREADABLE, "no_such_lookup")


@pytest.mark.parametrize(("token", "provider"), [("forged", "apollo"), (TOKEN, "clearbit"), ("", "")])
async def test_a_token_of_nobody_or_of_another_provider_is_unknown(pending, token, provider):
    assert (await deliver(pending, token=token, provider=provider)).result is CallbackResult.UNKNOWN
    assert await late_of(pending, LateLookup()).standing(token, provider) is CallbackResult.UNKNOWN
    assert pending.settled == []


async def test_a_repeated_answer_changes_nothing(pending):
    results = [(await deliver(pending)).result for _ in range(3)]
    assert results == [CallbackResult.ACCEPTED, CallbackResult.REPEATED, CallbackResult.REPEATED]
    assert len(pending.settled) == 1


async def test_of_two_that_come_at_once_one_is_a_repeat(pending):
    results = await asyncio.gather(*(deliver(pending) for _ in range(2)))
    assert sorted(item.result for item in results) == ["accepted", "repeated"]


@pytest.mark.parametrize("state", ["waiting", "expired"])
async def test_an_answer_after_its_time_is_late(pending, clock, state):
    pending.calls[TOKEN] = a_waiting(state=state)
    clock.advance(TTL.total_seconds())
    assert (await deliver(pending)).result is CallbackResult.LATE
    assert pending.settled == []


async def test_time_may_run_out_while_an_answer_is_stored(pending, clock):
    class Slow(LateLookup):
        def read_callback(self, body):
            clock.advance(TTL.total_seconds())
            return super().read_callback(body)

    assert (await late_of(pending, Slow()).deliver(TOKEN, "apollo", FOUND)).result is CallbackResult.LATE


async def test_a_store_that_fails_is_the_callers_matter(pending):
    pending.failure = StoreError("closed")
    with pytest.raises(StoreError):
        await deliver(pending)


# --- by polls ------------------------------------------------------------------------------------------------------


async def test_a_poll_asks_with_the_query_of_the_call(pending):
    lookup = LateLookup([phone()])
    assert await late_of(pending, lookup).poll_due(10) == 1
    assert lookup.polled == [("req-7", Query(email=EMAIL, ids={"apollo.person": "p-1"}))]
    assert pending.settled[0].outcome == "hit"


async def seconds_between_polls(pending, lookup, times):
    late, found = late_of(pending, lookup), []
    for _ in range(times):
        await late.poll_due(10)
        next_at = pending.due_at[ATTEMPT]
        found.append((next_at - pending.clock.now()).total_seconds())
        pending.clock.advance(found[-1])
    return found


async def test_polls_grow_rarer_up_to_a_quarter_of_an_hour(pending):
    pending.calls[TOKEN] = a_waiting(expires_at=START + 100 * TTL)
    found = await seconds_between_polls(pending, LateLookup([Pending("req-7")]), 14)
    assert found[:3] == [15.0, 22.5, 33.75]
    assert found == sorted(found)
    assert found[-2:] == [900.0, 900.0]


async def test_a_poll_never_comes_sooner_than_the_provider_asks(pending):
    steps = [Pending("req-7", 60.0), Pending("req-7", 0.0), Pending("req-7", 3_000.0)]
    assert await seconds_between_polls(pending, LateLookup(steps), 3) == [90.0, 22.5, 3_000.0]


async def test_a_transient_error_puts_the_poll_off(pending):
    down = ProviderError("throttled", transient=True, http_status=429, retry_after_seconds=120.0)
    (wait,) = await seconds_between_polls(pending, LateLookup([down]), 1)
    assert (wait, pending.settled) == (180.0, [])


@pytest.mark.parametrize(("charge", "cost"), [(Charge.ON_HIT, 0), (Charge.ON_CALL, PRICE)])
async def test_a_terminal_error_ends_the_waiting_and_is_told(pending, charge, cost):
    gone = ProviderError("gone", transient=False, http_status=410)
    await late_of(pending, LateLookup([gone], charge=charge)).poll_due(10)
    (settled,) = pending.settled
    assert (settled.outcome, settled.reason, settled.http_status) == ("error", "gone", 410)
    assert (settled.answer, settled.cost_micros) == (None, cost)
    assert settled.cache.error_seconds >= 3_600, "the work that it wakes must not ask again"


async def test_a_fault_of_an_adapter_costs_one_poll_and_not_the_others(pending):
    pending.calls["second"] = a_waiting("second", lookup="clearbit.combined")
    broken, good = LateLookup([KeyError("x")]), LateLookup([phone()], "clearbit.combined")
    late = LateAnswers(pending, {broken.name: broken, good.name: good}, pending.clock, CachePolicy(0, 0))
    with capture_logs() as logs:
        assert await late.poll_due(10) == 2
    assert [item.attempt_id for item in pending.settled] == ["second"]
    assert pending.due_at[ATTEMPT] > pending.clock.now()
    assert [(entry["lookup"], entry["error"]) for entry in logs] == [("apollo.phone", "KeyError")]


async def test_a_lookup_that_is_gone_is_polled_no_more_but_its_call_goes_on_waiting(pending):
    assert await late_of(pending, LateLookup(name="apollo.person")).poll_due(10) == 1
    assert pending.due_at[ATTEMPT] > pending.clock.now()
    assert pending.calls[TOKEN].state == "waiting"


async def test_few_polls_are_under_way_at_once(clock):
    calls = {f"t{n}": a_waiting(f"a{n}") for n in range(20)}
    under_way, most = 0, 0

    class Counting(LateLookup):
        async def poll(self, request_id, query, timeout_seconds):
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await clock.sleep(1)
            under_way -= 1
            return Answer()

    pending = MemoryPending(clock, calls)
    assert await late_of(pending, Counting(), concurrency=3).poll_due(10) == 10
    assert (most, len(pending.settled)) == (3, 10)


async def test_a_store_that_fails_ends_the_round_when_all_polls_have_ended(pending):
    pending.calls["second"] = a_waiting("second")
    pending.failure = StoreError("closed")
    lookup = LateLookup([phone()])
    with pytest.raises(StoreError):
        await late_of(pending, lookup).poll_due(10)
    assert len(lookup.polled) == 2


async def test_what_is_too_late_is_given_up(pending):
    assert await late_of(pending, LateLookup()).expire() == 3


# --- the query -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(email=EMAIL, ids={"apollo.person": "p-1"}),
        Query(None, "acme.com", "Acme", "Jane", "Doe"),
    ],
)
def test_a_query_comes_back_as_it_was_stored(query):
    assert restored_query(stored_query(query)) == query


def test_only_what_a_poll_needs_of_a_query_is_stored():
    stored = stored_query(Query(email=EMAIL, known={"title": "CTO", "phone": "+14155550132"}))
    assert stored == {"email": EMAIL, "ids": {}}


def test_a_stored_query_of_a_newer_version_can_be_read():
    assert restored_query({"email": EMAIL, "something": "new"}) == Query(email=EMAIL)
