"""Buying one answer: cache, one call for many askers, retries and the bill."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest
from support.clock import ManualClock
from support.ports import DOWN, MISS, NO_ANSWER, REFUSED, MemoryLedger, ScriptedLookup, hit

from enrichment_dagster.engine.purchase import Asker, Buyer
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import AttemptKey, AttemptRequest, CachePolicy, Charge, Query

QUERY = Query(email="jane.doe@acme.com", domain="acme.com")
SUBJECT = "email:jane.doe@acme.com"
KEY = AttemptKey("apollo", "person", SUBJECT)
HIT = hit(title="CTO")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def ledger(clock):
    return MemoryLedger(clock)


@pytest.fixture
def buyer(ledger, clock):
    return Buyer(ledger, clock, RetryPolicy(3, 0.5, 8.0), CachePolicy(3_600, 600), random.Random(1))


@pytest.fixture
def ask(buyer, clock):
    def ask(lookup, *, seconds=25.0, buyer=buyer, event_id="evt_1"):
        return buyer.ask(lookup, QUERY, SUBJECT, Asker(event_id, event_id, clock.monotonic() + seconds))

    return ask


class TestCache:
    async def test_a_fresh_answer_is_not_bought_again(self, ask):
        lookup = ScriptedLookup(steps=[HIT])
        assert (await ask(lookup)).cost_micros == 20_000
        again = await ask(lookup)
        assert (again.answer, again.cached, again.cost_micros) == (HIT, True, 0)
        assert len(lookup.calls) == 1

    async def test_that_nothing_was_found_is_remembered_too(self, ask):
        lookup = ScriptedLookup(steps=[MISS])
        await ask(lookup)
        assert (await ask(lookup)).answer == MISS
        assert len(lookup.calls) == 1

    @pytest.mark.parametrize(("answer", "ttl"), [(HIT, 3_600), (MISS, 600)])
    async def test_an_answer_is_asked_for_anew_a_second_after_its_time_and_not_before(self, ask, clock, answer, ttl):
        lookup = ScriptedLookup(steps=[answer])
        await ask(lookup)
        clock.advance(ttl - 1)
        await ask(lookup)
        assert len(lookup.calls) == 1
        clock.advance(2)
        await ask(lookup)
        assert len(lookup.calls) == 2

    async def test_a_failure_is_not_remembered(self, ask):
        lookup = ScriptedLookup(steps=[REFUSED, HIT])
        assert (await ask(lookup)).failure == "unauthorized"
        assert (await ask(lookup)).answer == HIT

    async def test_the_age_of_a_cached_answer_is_kept(self, ask, clock):
        fetched = clock.now()
        lookup = ScriptedLookup(steps=[HIT])
        await ask(lookup)
        clock.advance(100)
        assert (await ask(lookup)).fetched_at == fetched


class TestKillSwitch:
    @pytest.fixture
    def lookup(self):
        return ScriptedLookup(steps=[HIT])

    async def test_a_call_that_waits_for_its_turn_is_not_sent_any_more(self, ask, ledger, lookup, clock):
        """The rate limit lets calls through seconds after they were permitted: a stop holds for them as well."""
        ledger.send_at = clock.now() + timedelta(seconds=5)
        waiting = asyncio.create_task(ask(lookup))
        await asyncio.sleep(0)
        ledger.stopped.add("apollo")
        found = await waiting
        assert (found.failure, found.refused, found.cost_micros, lookup.calls) == ("spending_stopped", True, 0, [])
        [settled] = ledger.settled
        assert (settled.outcome, settled.reason, settled.cost_micros) == ("error", "spending_stopped", 0)
        assert not settled.speaks

    async def test_what_has_waited_is_sent_where_nobody_stopped_it(self, ask, ledger, lookup, clock):
        ledger.send_at = clock.now() + timedelta(seconds=5)
        assert (await ask(lookup)).answer == HIT


class TestManyAskers:
    async def test_fifty_at_once_make_one_call_and_one_bill(self, ask, clock):
        lookup = ScriptedLookup(steps=[HIT], clock=clock, seconds=1.0)
        found = await asyncio.gather(*(ask(lookup) for _ in range(50)))
        assert len(lookup.calls) == 1
        assert sum(item.cost_micros for item in found) == 20_000
        assert {item.answer for item in found} == {HIT}

    async def test_after_the_call_the_next_asker_starts_from_the_cache(self, ask, buyer):
        await ask(ScriptedLookup(steps=[HIT]))
        assert buyer._flights == {}

    async def test_who_joins_a_call_waits_no_longer_than_their_own_deadline(self, ask, clock):
        """A routing request of two seconds must not wait for a batch that has twenty-five."""
        lookup = ScriptedLookup(steps=[HIT], clock=clock, seconds=4.0)
        patient = asyncio.create_task(ask(lookup, seconds=25.0))
        await asyncio.sleep(0)
        started = clock.now()
        hasty = await ask(lookup, seconds=2.0)
        assert (hasty.failure, hasty.cost_micros) == ("timeout", 0)
        assert clock.now() - started == timedelta(seconds=2)
        assert (await patient).answer == HIT

    async def test_an_asker_that_is_cancelled_does_not_cancel_the_call_of_the_others(self, ask, clock):
        lookup = ScriptedLookup(steps=[HIT], clock=clock, seconds=1.0)
        first = asyncio.create_task(ask(lookup))
        second = asyncio.create_task(ask(lookup))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).answer == HIT
        assert len(lookup.calls) == 1

    async def test_what_another_process_is_asking_is_waited_for(self, ask, ledger, clock):
        """Two processes, one ledger: the second one takes the first one's answer from the cache."""
        other = Buyer(ledger, clock, RetryPolicy(3, 0.5, 8.0), CachePolicy(3_600, 600), random.Random(2))
        lookup = ScriptedLookup(steps=[HIT], clock=clock, seconds=3.0)
        mine, theirs = await asyncio.gather(ask(lookup), ask(lookup, buyer=other))
        assert len(lookup.calls) == 1
        assert sorted([mine.cached, theirs.cached]) == [False, True]
        assert mine.cost_micros + theirs.cost_micros == 20_000

    async def test_a_dead_workers_attempt_is_taken_over_after_its_lease(self, ask, ledger, clock):
        await ledger.begin(AttemptRequest(KEY, "evt_0", reserve_micros=20_000, lease_seconds=15.0))
        started = clock.now()
        assert (await ask(ScriptedLookup(steps=[HIT]))).answer == HIT
        assert timedelta(seconds=15) <= clock.now() - started <= timedelta(seconds=15.5)

    async def test_who_waits_for_a_dead_worker_gives_up_at_their_deadline(self, ask, ledger, clock):
        await ledger.begin(AttemptRequest(KEY, "evt_0", reserve_micros=20_000, lease_seconds=15.0))
        lookup = ScriptedLookup(steps=[HIT])
        assert (await ask(lookup, seconds=2.0)).failure == "timeout"
        assert lookup.calls == []


class TestTimeouts:
    async def test_a_provider_that_had_all_its_time_has_failed(self, ask, ledger, clock):
        await ask(ScriptedLookup(steps=[HIT], clock=clock, seconds=6.0), seconds=5.1)
        (settled,) = ledger.settled
        assert (settled.reason, settled.speaks) == ("timeout", True)

    async def test_a_call_that_our_deadline_cut_says_nothing_of_its_provider(self, ask, ledger, clock):
        await ask(ScriptedLookup(steps=[HIT], clock=clock, seconds=6.0), seconds=2.0)
        (settled,) = ledger.settled
        assert (settled.reason, settled.speaks) == ("timeout", False)
        assert settled.cache.error_seconds == 0, "a lane with more time may ask at once"

    async def test_nor_does_one_whose_end_we_noticed_too_late(self, ask, ledger, clock):
        """A process with more to do than it can must not open its providers' breakers."""

        def too_late(_query):
            clock.advance(5.5)
            raise NO_ANSWER

        await ask(ScriptedLookup(steps=[too_late]), seconds=5.6)
        (settled,) = ledger.settled
        assert (settled.reason, settled.speaks) == ("timeout", False)


class TestRetries:
    async def test_each_attempt_is_a_row_of_its_own(self, ask, ledger):
        lookup = ScriptedLookup(steps=[DOWN, DOWN, HIT])
        assert (await ask(lookup)).answer == HIT
        assert [item.outcome for item in ledger.settled] == ["error", "error", "hit"]
        assert len({item.attempt_id for item in ledger.settled}) == 3
        assert ledger.opened == [(KEY, "evt_1", 20_000)] * 3

    async def test_it_is_given_up_after_the_policys_attempts(self, ask):
        lookup = ScriptedLookup(steps=[DOWN])
        assert (await ask(lookup)).failure == "server_error"
        assert len(lookup.calls) == 3

    async def test_terminal_errors_are_not_repeated(self, ask):
        lookup = ScriptedLookup(steps=[REFUSED, HIT])
        await ask(lookup)
        assert len(lookup.calls) == 1

    async def test_retry_after_is_waited_for(self, ask, clock):
        throttled = ProviderError("throttled", transient=True, http_status=429, retry_after_seconds=7.0)
        await ask(ScriptedLookup(steps=[throttled, HIT]))
        assert clock.slept == [7.0]

    async def test_calls_get_no_more_time_than_the_deadline_leaves(self, ask, clock):
        lookup = ScriptedLookup(steps=[HIT], clock=clock, seconds=60.0)
        assert (await ask(lookup, seconds=7.0)).answer is None
        assert lookup.timeouts[0] == 5.0
        assert lookup.timeouts[1] < 2.0
        assert clock.monotonic() <= 1_007.0

    async def test_after_the_deadline_nothing_is_asked(self, ask):
        lookup = ScriptedLookup(steps=[HIT])
        assert (await ask(lookup, seconds=0.0)).failure == "timeout"
        assert lookup.calls == []

    async def test_a_fault_of_the_adapter_costs_this_call_only(self, ask, ledger):
        lookup = ScriptedLookup(steps=[KeyError("person")])
        assert (await ask(lookup)).failure == "adapter_fault"
        assert len(lookup.calls) == 1
        assert ledger.settled[0].reason == "adapter_fault"
        assert ledger.in_flight == {}


@pytest.mark.parametrize(
    ("charge", "step", "cost"),
    [
        (Charge.ON_HIT, HIT, 20_000),
        (Charge.ON_HIT, MISS, 0),
        (Charge.ON_HIT, REFUSED, 0),
        (Charge.ON_CALL, HIT, 20_000),
        (Charge.ON_CALL, MISS, 20_000),
        (Charge.ON_CALL, REFUSED, 0),  # the vendor answered: not served
        (Charge.ON_CALL, ProviderError("offline", transient=False, maybe_sent=False), 0),
        (Charge.ON_CALL, ProviderError("timeout", transient=False), 20_000),  # may have been served
    ],
)
async def test_the_bill_follows_the_providers_terms(ask, ledger, charge, step, cost):
    purchase = await ask(ScriptedLookup(steps=[step], charge=charge))
    assert purchase.cost_micros == cost
    assert [item.cost_micros for item in ledger.settled] == [cost]


async def test_every_try_that_may_have_been_served_is_on_the_bill(ask, ledger):
    purchase = await ask(ScriptedLookup(steps=[NO_ANSWER, NO_ANSWER, HIT], charge=Charge.ON_CALL))
    assert purchase.cost_micros == sum(item.cost_micros for item in ledger.settled) == 60_000


class TestBulkCalls:
    """Queries that go in one call share its bill of health: the provider was asked once."""

    async def settled_of(self, *steps):
        clock = ManualClock()
        ledger = MemoryLedger(clock)
        lookup = ScriptedLookup(steps=steps, bulk_size=len(steps))
        buyer = Buyer(ledger, clock, RetryPolicy(1, 0.5, 8.0), CachePolicy(60.0, 60.0), random.Random(1), bulk=True)
        queries = [Query(email=f"p{n}@acme.com") for n in range(len(steps))]
        async with asyncio.TaskGroup() as group:
            for query in queries:
                asker = Asker(f"evt-{query.email}", "work", clock.monotonic() + 60)
                group.create_task(buyer.ask(lookup, query, lookup.subject(query), asker))
        assert lookup.bulk_calls == [len(steps)]
        return ledger.settled

    async def test_one_query_of_a_failed_call_tells_of_the_provider(self):
        settled = await self.settled_of(*[DOWN] * 10)
        assert [s.outcome for s in settled] == ["error"] * 10
        assert [s.speaks for s in settled].count(True) == 1

    async def test_a_row_that_is_refused_is_no_failure_of_the_call(self):
        settled = await self.settled_of(DOWN, MISS, MISS)
        assert [s.outcome for s in settled if s.speaks] == ["miss"]
