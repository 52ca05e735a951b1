"""The order and the moment in which lookups are asked: sequential, parallel, hedged; and what each step is called."""

from __future__ import annotations

import random

import pytest
from support.builders import COMPANY, EMAIL, PERSON, a_draft, a_plan, a_value, an_item
from support.clock import START, ManualClock
from support.ports import DOWN, MISS, MemoryLedger, ScriptedLookup, hit

from enrichment_dagster.domain.eligibility import Rules
from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.engine.absorb import absorb_answer
from enrichment_dagster.engine.purchase import Buyer, Purchase
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.engine.waterfall import enrich_event
from enrichment_dagster.ports import CachePolicy, Pending, ProviderStanding, Refused, Scope

ALL = {"title": "CTO", "company_name": "Acme", "employees": 250}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def ledger(clock):
    return MemoryLedger(clock)


@pytest.fixture
def enrich(clock, ledger):
    buyer = Buyer(
        ledger, clock, RetryPolicy(1, 0.5, 8.0), CachePolicy(60, 60), random.Random(1),
        callback_url=lambda provider, token: f"https://us/callbacks/{provider}/{token}",
    )  # fmt: skip

    async def enrich(*lookups, known=None, item=None, standings=None, **plan):
        return await enrich_event(
            item or an_item(), known or {}, a_plan(*lookups, **plan), buyer, clock,
            known_from="hubspot", standings=standings,
        )  # fmt: skip

    return enrich


def lookup(name, *steps, clock=None, seconds=0.0, **changes):
    return ScriptedLookup(name, steps=steps or [MISS], clock=clock, seconds=seconds, **changes)


def found(draft):
    return {name: (value.value, value.provider) for name, value in draft.knowledge.values.items() if name != "email"}


def results(draft):
    return {name: step.result for name, step in draft.steps.items()}


class TestSequential:
    async def test_the_cheapest_that_has_a_missing_field_is_asked_first(self, enrich):
        dear, cheap = (
            lookup("apollo.person", hit(**ALL), price_micros=9),
            lookup("pdl.person", hit(**ALL), price_micros=3),
        )
        draft = await enrich(dear, cheap, prefer="cheapest")
        assert (len(dear.calls), len(cheap.calls)) == (0, 1)
        assert results(draft) == {"pdl.person": "hit", "apollo.person": "not_needed"}

    async def test_but_the_most_trusted_wins_when_both_have_spoken(self, enrich):
        dear = lookup("apollo.person", hit(title="CTO", employees=250), price_micros=9)
        cheap = lookup("pdl.person", hit(title="VP", company_name="Acme"), price_micros=3)
        draft = await enrich(dear, cheap, prefer="cheapest")
        assert found(draft) == {
            "title": ("CTO", "apollo"),
            "company_name": ("Acme", "pdl"),
            "employees": (250, "apollo"),
        }
        assert [(v.value, v.provider) for v in draft.knowledge.alternatives] == [("VP", "pdl")]

    async def test_a_field_may_have_an_order_of_its_own(self, enrich):
        apollo, clearbit = lookup("apollo.person", hit(**ALL)), lookup("clearbit.combined", hit(employees=9))
        draft = await enrich(apollo, clearbit, own_orders={"employees": ["clearbit.combined"]})
        assert found(draft)["employees"] == (9, "clearbit")
        assert found(draft)["title"] == ("CTO", "apollo")

    async def test_a_demoted_provider_is_asked_last(self, enrich):
        apollo, clearbit = lookup("apollo.person", hit(**ALL)), lookup("clearbit.combined", hit(**ALL))
        draft = await enrich(apollo, clearbit, standings={"apollo": ProviderStanding(demoted=True)})
        assert results(draft) == {"clearbit.combined": "hit", "apollo.person": "not_needed"}

    async def test_the_fastest_is_asked_first_where_the_plan_prefers_that(self, enrich):
        slow, fast = lookup("apollo.person", hit(**ALL)), lookup("clearbit.combined", hit(**ALL))
        standings = {
            "apollo": ProviderStanding(p50_ms={"person": 300.0}),
            "clearbit": ProviderStanding(p50_ms={"combined": 40.0}),
        }
        assert results(await enrich(slow, fast, prefer="fastest", standings=standings))["clearbit.combined"] == "hit"
        assert slow.calls == []

    async def test_a_lookup_that_lacks_something_is_asked_as_soon_as_it_is_known(self, enrich):
        """News need Apollo's own id of the company, which only another lookup brings."""

        class ById(ScriptedLookup):
            def subject(self, query):
                return "domain:acme.com" if "apollo.organization" in query.ids else None

        news = ById("apollo.news", gives=frozenset({"title"}), steps=[hit(title="CTO")])
        answer = hit(company_name="Acme")
        company = lookup("apollo.company", type(answer)(answer.values, ids={"apollo.organization": "5e66"}))
        assert found(await enrich(news, company))["title"] == ("CTO", "apollo")

    async def test_what_never_became_known_is_told(self, enrich):
        item = an_item(attributes={"email": "j@gmail.com"})
        draft = await enrich(lookup("apollo.company", by_domain=True), item=item, rules=Rules(skip_personal=False))
        assert results(draft) == {"apollo.company": "not_ready"}
        assert draft.knowledge.obstacles["employees"] is MissingReason.POLICY


class TestParallel:
    async def test_all_are_asked_at_once(self, enrich, clock):
        one = lookup("apollo.person", hit(title="CTO"), clock=clock, seconds=1.0)
        two = lookup("clearbit.combined", hit(company_name="Acme", employees=9), clock=clock, seconds=1.0)
        started = clock.monotonic()
        assert len(found(await enrich(one, two, mode="parallel"))) == 3
        assert clock.monotonic() - started == pytest.approx(1.0)

    @pytest.mark.parametrize(("first", "second"), [(0.5, 1.0), (1.0, 0.5)])
    async def test_who_answers_first_does_not_decide_what_counts(self, enrich, clock, first, second):
        trusted = lookup("apollo.person", hit(**ALL), clock=clock, seconds=first)
        other = lookup("clearbit.combined", hit(title="CEO", employees=9), clock=clock, seconds=second)
        assert found(await enrich(trusted, other, mode="parallel"))["title"] == ("CTO", "apollo")

    async def test_nobody_waits_for_a_call_that_could_change_nothing(self, enrich, clock):
        trusted = lookup("apollo.person", hit(**ALL), clock=clock, seconds=0.1)
        hanging = lookup("clearbit.combined", hit(**ALL), clock=clock, seconds=4.0)
        started = clock.monotonic()
        draft = await enrich(trusted, hanging, mode="parallel")
        assert clock.monotonic() - started == pytest.approx(0.1)
        assert results(draft) == {"apollo.person": "hit", "clearbit.combined": "abandoned"}

    @pytest.mark.parametrize(
        ("seconds", "ends_after", "title"), [(0.101, 0.101, "CTO"), (0.19, 0.19, "CTO"), (4.0, 0.2, None)]
    )
    async def test_a_useful_field_is_waited_for_a_moment(self, enrich, clock, seconds, ends_after, title):
        """Which of two calls ends first does not decide what the lead's score is made of."""
        wanted = lookup("apollo.company", hit(employees=9), clock=clock, seconds=0.1)
        more = lookup(
            "apollo.person", hit(title="CTO"), gives=frozenset({"title", "employees"}), clock=clock, seconds=seconds
        )
        started = clock.monotonic()
        draft = await enrich(wanted, more, mode="parallel", wanted=("employees",), useful=("title", "seniority"))
        assert clock.monotonic() - started == pytest.approx(ends_after)
        assert found(draft).get("title", (None,))[0] == title

    async def test_nobody_waits_a_moment_for_what_no_call_may_bring(self, enrich, clock):
        wanted = lookup("apollo.company", hit(employees=9), clock=clock, seconds=0.1)
        more = lookup("apollo.person", hit(employees=9), gives=frozenset({"employees"}), clock=clock, seconds=0.15)
        started = clock.monotonic()
        await enrich(wanted, more, mode="parallel", wanted=("employees",), useful=("title",))
        assert clock.monotonic() - started == pytest.approx(0.1)

    async def test_an_abandoned_call_is_settled_and_remembered_all_the_same(self, enrich, clock, ledger):
        trusted = lookup("apollo.person", hit(**ALL), clock=clock, seconds=0.1)
        late = lookup("clearbit.combined", hit(**ALL), clock=clock, seconds=1.0)
        await enrich(trusted, late, mode="parallel")
        await clock.sleep(2.0)
        assert {item.key.provider: item.outcome for item in ledger.settled} == {"apollo": "hit", "clearbit": "hit"}

    async def test_at_the_deadline_what_is_there_is_returned(self, enrich, clock):
        quick = lookup("apollo.person", hit(title="CTO"), clock=clock, seconds=0.1)
        hanging = lookup("clearbit.combined", hit(**ALL), clock=clock, seconds=60.0, timeout_seconds=60.0)
        started = clock.monotonic()
        draft = await enrich(quick, hanging, mode="parallel", deadline_seconds=1.8)
        assert clock.monotonic() - started == pytest.approx(1.8)
        assert found(draft) == {"title": ("CTO", "apollo")}
        assert draft.knowledge.missing_reasons({"employees", "company_name"}) == {
            "company_name": MissingReason.TIMEOUT, "employees": MissingReason.TIMEOUT,
        }  # fmt: skip

    async def test_one_that_fails_costs_only_what_it_alone_has(self, enrich):
        draft = await enrich(
            lookup("apollo.person", DOWN), lookup("clearbit.combined", hit(title="CEO")), mode="parallel"
        )
        assert found(draft) == {"title": ("CEO", "clearbit")}
        assert draft.knowledge.obstacles["employees"] is MissingReason.PROVIDER_DOWN


STANDINGS = {"apollo": ProviderStanding(p95_ms={"person": 200.0})}


class TestHedged:
    async def test_the_backup_is_sent_when_the_first_is_slower_than_it_usually_is(self, enrich, clock, ledger):
        slow = lookup("apollo.person", hit(**ALL), clock=clock, seconds=4.0)
        backup = lookup("clearbit.combined", hit(**ALL), clock=clock, seconds=0.1, price_micros=50_000)
        started = clock.monotonic()
        draft = await enrich(slow, backup, mode="hedged", standings=STANDINGS, deadline_seconds=2.0)
        assert clock.monotonic() - started == pytest.approx(2.0)  # apollo is trusted more and may still answer
        assert found(draft)["title"] == ("CTO", "clearbit")
        assert draft.steps["clearbit.combined"].hedge
        assert [request.role for request in ledger.requests] == ["", "hedge"]

    async def test_the_extra_cost_is_on_the_bill(self, enrich, clock):
        slow = lookup("apollo.person", hit(**ALL), clock=clock, seconds=1.0)
        backup = lookup("clearbit.combined", hit(**ALL), clock=clock, seconds=0.1, price_micros=50_000)
        draft = await enrich(slow, backup, mode="hedged", standings=STANDINGS)
        assert draft.cost_micros == 70_000
        assert found(draft)["title"] == ("CTO", "apollo")

    async def test_who_is_quick_enough_needs_no_backup(self, enrich, clock):
        quick = lookup("apollo.person", hit(**ALL), clock=clock, seconds=0.15)
        backup = lookup("clearbit.combined", hit(**ALL))
        await enrich(quick, backup, mode="hedged", standings=STANDINGS)
        assert backup.calls == []

    async def test_after_a_miss_the_next_one_is_asked_as_in_a_sequence(self, enrich):
        backup = lookup("clearbit.combined", hit(**ALL))
        draft = await enrich(lookup("apollo.person", MISS), backup, mode="hedged")
        assert results(draft) == {"apollo.person": "miss", "clearbit.combined": "hit"}
        assert not draft.steps["clearbit.combined"].hedge


class TestWhatIsNotAsked:
    @pytest.mark.parametrize(
        ("reason", "missing"),
        [
            ("budget_event", MissingReason.BUDGET),
            ("spending_stopped", MissingReason.POLICY),
            ("breaker_open", MissingReason.PROVIDER_DOWN),
            ("rate_limited", MissingReason.TIMEOUT),
        ],
    )
    async def test_a_refusal_is_told_with_its_reason_and_the_next_one_is_asked(self, enrich, ledger, reason, missing):
        ledger.refusals["apollo"] = Refused(reason)
        first, second = lookup("apollo.person", hit(**ALL)), lookup("clearbit.combined", hit(title="CEO"))
        draft = await enrich(first, second)
        assert first.calls == []
        assert (draft.steps["apollo.person"].result, draft.steps["apollo.person"].reason) == ("refused", reason)
        assert found(draft) == {"title": ("CEO", "clearbit")}
        assert draft.knowledge.obstacles["employees"] is missing

    async def test_work_that_is_limited_to_a_lookup_asks_no_other(self, enrich):
        first, second = lookup("apollo.person", hit(**ALL)), lookup("clearbit.combined", hit(title="CEO"))
        item = an_item()
        item = type(item)(item.work_id, item.kind, item.event, scope=Scope(("clearbit.combined",)))
        draft = await enrich(first, second, item=item)
        assert first.calls == []
        assert results(draft) == {"clearbit.combined": "hit"}

    async def test_a_stale_answer_serves_when_the_refresh_fails(self, enrich, clock):
        flaky = lookup("apollo.person", hit(**ALL), DOWN)
        await enrich(flaky)
        clock.advance(61)
        draft = await enrich(flaky)
        assert found(draft)["title"] == ("CTO", "apollo")
        assert draft.knowledge.values["title"].stale
        assert draft.steps["apollo.person"].stale
        assert draft.cost_micros == 0


class TestLateAnswers:
    async def test_a_provider_that_answers_later_makes_the_field_pending(self, enrich):
        phone = lookup("apollo.phone", Pending("req-1"), gives=frozenset({"title"}), calls_back=True)
        draft = await enrich(phone)
        assert phone.callback_urls == ["https://us/callbacks/apollo/token-1"]
        assert (results(draft), draft.awaits) == ({"apollo.phone": "pending"}, ["attempt-1"])
        assert draft.knowledge.obstacles["title"] is MissingReason.PENDING

    async def test_who_asks_the_same_meanwhile_waits_for_the_same_answer(self, enrich):
        phone = lookup("apollo.phone", Pending("req-1"), calls_back=True)
        await enrich(phone)
        draft = await enrich(phone)
        assert (len(phone.calls), draft.awaits) == (1, ["attempt-1"])


class TestFoundAddresses:
    def test_an_undeliverable_address_that_we_found_is_forgotten_and_can_not_come_back(self):
        verify = lookup("zerobounce.verification", gives=frozenset({"email_status"}))
        draft = a_draft(a_value("email", "old@acme.com"), subject_keys=(PERSON, COMPANY))
        verdict = Purchase(hit(email_status="invalid"), START)
        absorb_answer(draft, verify, "email:old@acme.com", verdict, a_plan(verify))
        draft.knowledge.add([a_value("email", "old@acme.com", provider="clearbit")])
        assert "email" not in draft.knowledge.values
        assert "email_status" not in draft.knowledge.values
        assert [bad.reason for bad in draft.knowledge.rejected] == ["proven_wrong", "of_a_refused_address"]

    async def test_the_records_own_address_stays_with_its_verdict(self, enrich):
        verify = lookup("zerobounce.verification", hit(email_status="invalid"), gives=frozenset({"email_status"}))
        draft = await enrich(verify, wanted=("email", "email_status"))
        assert draft.knowledge.values["email"].value == EMAIL
        assert draft.knowledge.values["email_status"].value == "invalid"

    async def test_the_moment_of_verification_stands_on_the_address(self, enrich, clock):
        verify = lookup("zerobounce.verification", hit(email_status="valid"), gives=frozenset({"email_status"}))
        draft = await enrich(verify, wanted=("email", "email_status"))
        assert draft.knowledge.values["email"].verified_at == clock.now()
