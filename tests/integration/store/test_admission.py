"""What may be sent: budgets, kill switch, limits and breaker hold for all processes together, to the last cent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from side_by_side import ask
from support.at_once import at_once
from support.rig import KEY

from enrichment_dagster.engine.protection import BreakerPolicy, ProviderPolicy
from enrichment_dagster.ports import (
    Answer,
    AttemptKey,
    Awaited,
    CachePolicy,
    Opened,
    Pending,
    RawValue,
    Refused,
    Settlement,
)
from enrichment_dagster.store.ledger import Policies
from enrichment_dagster.store.provider_states import SqlStandings
from enrichment_dagster.store.spending import SpendingStore, held
from enrichment_dagster.store.tables import attempts, cache, pending_answers

ANSWER = Answer((RawValue("title", "CTO", 0.9),), "req-1")
MEMORY = CachePolicy(60.0, 60.0, error_seconds=30.0, stale_seconds=3_600.0)
PRICE = 20_000


def subject(number):
    return AttemptKey("apollo", "person", f"email:p{number}@acme.com")


async def settle(rig, opened, key=KEY, outcome="hit", **changes):
    answers = {"hit": ANSWER, "miss": Answer()}
    given = {"answer": answers.get(outcome), "latency_ms": 100, "cost_micros": PRICE if outcome == "hit" else 0}
    await rig.ledger.settle(Settlement(opened.attempt_id, key, outcome, **{**given, "cache": MEMORY, **changes}))


def spent(rig, provider=""):
    with rig.ops.read() as connection:
        return held(connection, [provider], rig.clock.now().date().isoformat())[provider]


class TestBudgets:
    async def test_what_a_call_may_cost_is_held_before_and_corrected_after_it(self, rig):
        one, two = await rig.begin(subject(1)), await rig.begin(subject(2), reserve_micros=5 * PRICE)
        assert (spent(rig), spent(rig, "apollo")) == (6 * PRICE, 6 * PRICE)
        await settle(rig, one, subject(1), "miss")
        await settle(rig, two, subject(2), cost_micros=3 * PRICE)
        assert (spent(rig), spent(rig, "apollo")) == (3 * PRICE, 3 * PRICE)

    @pytest.mark.parametrize(
        ("budgets", "reason"), [({"apollo": 2 * PRICE}, "budget_provider"), ({"": 2 * PRICE}, "budget_day")]
    )
    async def test_the_last_call_is_the_one_that_the_budget_still_covers(self, rig, other, budgets, reason):
        for one in (rig, other):
            one.limit(Policies(budgets=budgets))
        assert isinstance(await rig.begin(subject(1)), Opened)
        assert isinstance(await other.begin(subject(2)), Opened)
        assert await rig.begin(subject(3)) == Refused(reason)
        assert len(rig.rows(attempts)) == 2

    async def test_an_event_has_a_budget_of_its_own(self, rig):
        limit = {"event_budget_micros": 2 * PRICE}
        assert isinstance(await rig.begin(subject(1), "evt_1", **limit), Opened)
        assert isinstance(await rig.begin(subject(2), "evt_1", **limit), Opened)
        assert await rig.begin(subject(3), "evt_1", **limit) == Refused("budget_event")
        assert isinstance(await rig.begin(subject(3), "evt_2", **limit), Opened)

    async def test_a_miss_that_costs_nothing_gives_its_money_back_to_the_event(self, rig):
        opened = await rig.begin(subject(1), event_budget_micros=PRICE)
        await settle(rig, opened, subject(1), "miss")
        assert isinstance(await rig.begin(subject(2), event_budget_micros=PRICE), Opened)

    async def test_a_new_day_has_a_new_budget(self, rig):
        rig.limit(Policies(budgets={"": PRICE}))
        await settle(rig, await rig.begin(subject(1)), subject(1))
        assert await rig.begin(subject(2)) == Refused("budget_day")
        rig.clock.advance(86_400)
        assert isinstance(await rig.begin(subject(2)), Opened)

    async def test_a_call_whose_worker_died_keeps_its_money(self, rig, other):
        await rig.begin()
        rig.clock.advance(16)
        await other.begin()
        assert spent(rig) == 2 * PRICE

    async def test_what_is_in_the_cache_is_given_whatever_the_budget_says(self, rig):
        await settle(rig, await rig.begin())
        rig.limit(Policies(budgets={"": 0}))
        assert (await rig.begin()).answer == ANSWER


class TestKillSwitch:
    @pytest.mark.parametrize("name", ["apollo", "all"])
    async def test_it_holds_from_the_next_call_on_in_every_process_until_it_is_released(self, rig, other, name):
        SpendingStore(other.ops, other.clock).stop(name, "the invoice")
        assert await rig.begin() == Refused("spending_stopped")
        assert rig.rows(attempts) == []
        SpendingStore(other.ops, other.clock).resume(name)
        assert isinstance(await rig.begin(), Opened)

    @pytest.mark.parametrize("name", ["apollo", "all"])
    async def test_a_call_that_waits_can_ask_whether_it_was_thrown_meanwhile(self, rig, other, name):
        assert not await rig.ledger.is_stopped("apollo")
        SpendingStore(other.ops, other.clock).stop(name)
        assert await rig.ledger.is_stopped("apollo")
        assert await rig.ledger.is_stopped("clearbit") == (name == "all")

    async def test_a_call_that_was_kept_back_gives_its_money_back(self, rig):
        opened = await rig.begin()
        await settle(rig, opened, outcome="error", reason="spending_stopped", speaks=False, cache=CachePolicy(0, 0))
        assert spent(rig) == 0
        assert isinstance(await rig.begin(), Opened)

    async def test_another_providers_stop_is_no_stop(self, rig):
        SpendingStore(rig.ops, rig.clock).stop("clearbit")
        assert isinstance(await rig.begin(), Opened)


class TestLimits:
    async def test_calls_over_the_rate_are_spaced_for_all_processes_together(self, rig, other):
        for one in (rig, other):
            one.limit(Policies({"apollo": ProviderPolicy(per_second=2, burst=2)}))
        begun = [await (rig, other)[n % 2].begin(subject(n)) for n in range(5)]
        waits = [(item.send_at - rig.clock.now()).total_seconds() for item in begun]
        assert waits == pytest.approx([0, 0, 0.5, 1.0, 1.5])

    async def test_a_turn_that_comes_too_late_is_not_taken(self, rig):
        rig.limit(Policies({"apollo": ProviderPolicy(per_second=1, burst=1)}))
        soon = rig.clock.now() + timedelta(seconds=0.5)
        await rig.begin(subject(1))
        found = await rig.begin(subject(2), send_before=soon)
        assert found.reason == "rate_limited"
        rig.clock.advance(1)
        assert isinstance(await rig.begin(subject(2), send_before=rig.clock.now() + timedelta(seconds=0.5)), Opened)

    async def test_a_lease_runs_from_the_moment_of_sending(self, rig):
        rig.limit(Policies({"apollo": ProviderPolicy(per_second=0.1, burst=1)}))
        await rig.begin(subject(1))
        await rig.begin(subject(2))
        late = rig.rows(attempts, attempts.c.subject_key == subject(2).subject_key)[0]
        assert late["lease_until_ms"] - late["sent_at_ms"] == 25_000

    async def test_one_call_of_a_queue_that_goes_out_together_counts_as_its_share(self, rig):
        rig.limit(Policies({"apollo": ProviderPolicy(per_second=1, burst=1, concurrency=1)}))
        begun = [await rig.begin(subject(n), weight=0.1) for n in range(10)]
        assert all(isinstance(item, Opened) for item in begun)
        assert (begun[9].send_at - rig.clock.now()).total_seconds() < 1

    async def test_no_more_calls_are_open_than_the_provider_has_places(self, rig, other):
        for one in (rig, other):
            one.limit(Policies({"apollo": ProviderPolicy(concurrency=2)}))
        first = await rig.begin(subject(1))
        await other.begin(subject(2))
        assert (await rig.begin(subject(3))).reason == "concurrency"
        await settle(rig, first, subject(1))
        assert isinstance(await rig.begin(subject(3)), Opened)

    async def test_places_of_a_dead_worker_are_free_after_its_lease(self, rig, other):
        for one in (rig, other):
            one.limit(Policies({"apollo": ProviderPolicy(concurrency=1)}))
        await other.begin(subject(1))
        rig.clock.advance(16)
        assert isinstance(await rig.begin(subject(2)), Opened)

    async def test_a_pause_that_one_process_is_told_holds_for_all(self, rig, other):
        await settle(rig, await rig.begin(), KEY, "error", reason="throttled", retry_after_seconds=7.0)
        begun = await other.begin(subject(2))
        assert (begun.send_at - rig.clock.now()).total_seconds() == pytest.approx(7)

    async def test_a_vendors_lifetime_cap_is_counted_for_ever(self, rig):
        rig.limit(Policies({"apollo": ProviderPolicy(lifetime_calls=2)}))
        for number in (1, 2):
            await settle(rig, await rig.begin(subject(number)), subject(number))
            rig.clock.advance(86_400)
        assert await rig.begin(subject(3)) == Refused("lifetime_cap")


class TestHealth:
    @pytest.fixture
    def fragile(self, rig, other):
        policy = ProviderPolicy(breaker=BreakerPolicy(consecutive_failures=3, min_seconds=0, open_seconds=15))
        for one in (rig, other):
            one.limit(Policies({"apollo": policy}))

    async def fail(self, rig, *numbers):
        for number in numbers:
            await settle(rig, await rig.begin(subject(number)), subject(number), "error", reason="unavailable")

    async def test_failures_that_one_process_saw_keep_all_from_calling(self, rig, other, fragile):
        await self.fail(rig, 1, 2, 3)
        found = await other.begin(subject(4))
        assert found.reason == "breaker_open"
        assert (found.retry_at - rig.clock.now()).total_seconds() == pytest.approx(15)
        standings = await SqlStandings(other.ops, other.clock, other.policies).current()
        assert standings["apollo"].open

    async def test_many_queries_of_one_failed_call_are_one_failure(self, rig, fragile):
        opened = [await rig.begin(subject(number)) for number in range(5)]
        for number, attempt in enumerate(opened):
            await settle(rig, attempt, subject(number), "error", reason="unavailable", speaks=number == 0)
        assert isinstance(await rig.begin(subject(6)), Opened)

    async def test_after_a_while_one_call_of_one_process_finds_out(self, rig, other, fragile):
        await self.fail(rig, 1, 2, 3)
        rig.clock.advance(15.5)
        probe = await other.begin(subject(4))
        assert isinstance(probe, Opened)
        assert (await rig.begin(subject(5))).reason == "breaker_open"
        rig.clock.advance(0.1)
        await settle(other, probe, subject(4), "miss")
        assert isinstance(await rig.begin(subject(5)), Opened)

    async def test_nothing_found_is_no_failure(self, rig, fragile):
        for number in range(10):
            await settle(rig, await rig.begin(subject(number)), subject(number), "miss")
        assert isinstance(await rig.begin(subject(99)), Opened)

    async def test_a_provider_under_ninety_percent_is_asked_last_and_a_probe_brings_it_back(self, rig):
        for number in range(30):
            await settle(
                rig, await rig.begin(subject(number)), subject(number), "error" if number % 5 == 0 else "miss",
                reason="unavailable" if number % 5 == 0 else "",
            )  # fmt: skip
        standings = SqlStandings(rig.ops, rig.clock, rig.policies)
        assert (await standings.current())["apollo"].demoted
        rig.clock.advance(20)
        seen = [(await standings.current())["apollo"].demoted for _ in range(3)]
        assert seen == [False, True, True]
        for number in range(100, 103):
            opened = await rig.begin(subject(number))
            rig.clock.advance(0.2)
            await settle(rig, opened, subject(number), "miss")
        rig.clock.advance(1.1)
        assert not (await standings.current())["apollo"].demoted


class TestMemory:
    async def test_a_failure_keeps_others_from_asking_for_a_short_while(self, rig, other):
        await settle(rig, await rig.begin(), outcome="error", reason="unavailable")
        found = await other.begin()
        assert (found.reason, found.stale) == ("recent_error", None)
        rig.clock.advance(31)
        assert isinstance(await other.begin(), Opened)

    async def test_an_expired_answer_is_kept_for_when_its_refresh_fails(self, rig, other):
        fetched = rig.clock.now()
        await settle(rig, await rig.begin())
        rig.clock.advance(61)
        opened = await other.begin()
        assert (opened.stale.answer, opened.stale.fetched_at) == (ANSWER, fetched)
        await settle(other, opened, outcome="error", reason="unavailable")
        assert (await rig.begin()).stale.answer == ANSWER

    async def test_it_is_not_kept_for_ever(self, rig):
        await settle(rig, await rig.begin())
        rig.clock.advance(60 + 3_601)
        assert (await rig.begin()).stale is None

    async def test_an_answer_ends_the_memory_of_a_failure(self, rig):
        await settle(rig, await rig.begin(), outcome="error", reason="unavailable")
        rig.clock.advance(31)
        await settle(rig, await rig.begin())
        (row,) = rig.rows(cache)
        assert (row["error_until_ms"], row["error_reason"]) == (0, "")
        assert (await rig.begin()).answer == ANSWER


class TestLateAnswers:
    async def test_the_callback_token_is_known_by_its_hash_only(self, rig):
        opened = await rig.begin(calls_back=True, lookup="apollo.phone", query={"email": "j@acme.com"})
        (row,) = rig.rows(pending_answers)
        assert len(opened.callback_token) >= 43
        assert opened.callback_token not in str(row)
        assert (row["state"], row["lookup"], row["attempt_id"]) == ("opened", "apollo.phone", opened.attempt_id)

    async def test_a_pending_call_is_awaited_by_all_and_its_money_stays_held(self, rig, other):
        opened = await rig.begin(calls_back=True, lookup="apollo.phone")
        pending = Pending("req-9", poll_after_seconds=60.0)
        await settle(rig, opened, outcome="pending", pending=pending, cost_micros=0)
        (row,) = rig.rows(pending_answers)
        assert (row["state"], row["request_id"]) == ("waiting", "req-9")
        assert row["next_poll_at_ms"] == row["created_at_ms"] + 60_000
        rig.clock.advance(3_600)
        assert await other.begin() == Awaited(opened.attempt_id)
        assert spent(rig) == PRICE

    async def test_a_provider_that_says_later_without_being_given_a_url_is_polled(self, rig):
        opened = await rig.begin()
        await settle(
            rig, opened, outcome="pending", pending=Pending(poll_after_seconds=5.0), lookup="clearbit.combined",
            query={"email": "j@acme.com"}, cost_micros=0,
        )  # fmt: skip
        (row,) = rig.rows(pending_answers)
        assert (row["state"], row["lookup"], row["query"]) == ("waiting", "clearbit.combined", {"email": "j@acme.com"})

    async def test_a_call_that_failed_is_waited_for_no_longer(self, rig):
        opened = await rig.begin(calls_back=True, lookup="apollo.phone")
        await settle(rig, opened, outcome="error", reason="unavailable")
        assert [row["state"] for row in rig.rows(pending_answers)] == ["expired"]


@pytest.mark.stack
def test_ten_processes_that_race_for_the_last_credits_never_overspend(place, rig):
    """Fifty calls are wanted at once, seven are paid for."""
    wanted = [[f"email:{number}-{n}@acme.com" for n in range(5)] for number in range(10)]
    jobs = [{"place": str(place), "budgets": {"": 7 * PRICE}, "subjects": subjects} for subjects in wanted]
    found = [answer for answers in at_once(ask, jobs) for answer in answers]
    assert (len(found), found.count("Opened")) == (50, 7)
    assert len(rig.rows(attempts)) == 7
    assert spent(rig) == 7 * PRICE
