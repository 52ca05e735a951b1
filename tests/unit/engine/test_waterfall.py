"""Enriching one event: whom it asks, in which order, and what it keeps."""

from __future__ import annotations

import random

import pytest
from support.builders import COMPANY, EMAIL, PERSON, a_plan, an_item
from support.clock import ManualClock
from support.ports import DOWN, MISS, MemoryLedger, ScriptedLookup, hit

from enrichment_dagster.domain.eligibility import Rules
from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.engine.waterfall import enrich_event
from enrichment_dagster.ports import CachePolicy

ALL = {"title": "CTO", "company_name": "Acme", "employees": 250}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def enrich(clock):
    buyer = Buyer(MemoryLedger(clock), clock, RetryPolicy(2, 0.5, 8.0), CachePolicy(60, 60), random.Random(1))

    async def enrich(*lookups, known=None, item=None, **plan):
        item = item or an_item()
        return await enrich_event(item, known or {}, a_plan(*lookups, **plan), buyer, clock, known_from="hubspot")

    return enrich


def apollo(*steps, **changes):
    return ScriptedLookup("apollo.person", steps=steps or [MISS], **changes)


def clearbit(*steps, **changes):
    return ScriptedLookup("clearbit.combined", steps=steps or [MISS], **changes)


def found(draft):
    return {name: value.value for name, value in draft.knowledge.values.items()}


def providers(draft):
    return {name: value.provider for name, value in draft.knowledge.values.items()}


class TestOrder:
    async def test_the_second_provider_is_asked_only_for_what_is_still_missing(self, enrich):
        first, second = apollo(hit(title="CTO")), clearbit(hit(title="CEO", company_name="Acme", employees=9))
        draft = await enrich(first, second)
        assert found(draft) == {"email": EMAIL, "title": "CTO", "company_name": "Acme", "employees": 9}
        assert providers(draft)["title"] == "apollo"
        assert set(draft.bought) == {"title", "company_name", "employees"}

    async def test_no_further_call_when_nothing_useful_can_come_of_it(self, enrich):
        second = clearbit(hit(**ALL))
        await enrich(apollo(hit(**ALL)), second)
        assert second.calls == []

    async def test_a_provider_without_a_wanted_field_is_not_asked(self, enrich):
        verifier = ScriptedLookup("zerobounce.verification", gives=frozenset({"email_status"}))
        await enrich(verifier)
        assert verifier.calls == []

    async def test_a_failing_provider_does_not_stop_the_next_one(self, enrich):
        draft = await enrich(apollo(DOWN), clearbit(hit(title="CTO", company_name="Acme")))
        assert found(draft)["title"] == "CTO"
        missing = draft.knowledge.missing_reasons(a_plan(apollo()).offered)
        assert missing == {"employees": MissingReason.PROVIDER_DOWN}

    async def test_the_query_carries_what_is_known(self, enrich):
        lookup = apollo()
        await enrich(lookup, known={"first_name": " Jane ", "company_name": "Acme Inc"})
        (query,) = lookup.calls
        assert (query.email, query.domain, query.first_name, query.company_name) == (
            EMAIL,
            "acme.com",
            "Jane",
            "Acme Inc",
        )

    async def test_the_plans_deadline_ends_the_waterfall(self, enrich, clock):
        second = clearbit(hit(**ALL))
        draft = await enrich(apollo(DOWN, clock=clock, seconds=4.0), second, deadline_seconds=3.0)
        assert second.calls == []
        assert set(draft.knowledge.obstacles.values()) == {MissingReason.TIMEOUT}
        assert clock.monotonic() <= 1_003.0


class TestWhatIsKnown:
    async def test_values_of_the_record_are_kept_and_not_bought(self, enrich):
        lookup = apollo(hit(title="CEO", employees=250))
        draft = await enrich(lookup, known={"title": "CTO", "company_name": "Acme"})
        assert found(draft)["title"] == "CTO"
        assert providers(draft)["title"] == "hubspot"
        assert draft.bought == ["employees"]

    async def test_a_record_that_has_everything_costs_nothing(self, enrich):
        lookup = apollo(hit(**ALL))
        draft = await enrich(lookup, known=ALL)
        assert (lookup.calls, draft.bought, draft.cost_micros) == ([], [], 0)

    async def test_a_value_of_the_record_that_fits_no_form_counts_as_empty(self, enrich):
        draft = await enrich(apollo(hit(employees=250)), known={"employees": "a lot"})
        assert found(draft)["employees"] == 250

    async def test_the_senders_word_on_the_company_yields_to_the_record(self, enrich):
        item = an_item(attributes={"email": EMAIL, "company": "Akme"})
        assert found(await enrich(apollo(), item=item))["company_name"] == "Akme"
        assert found(await enrich(apollo(), item=item, known={"company_name": "Acme"}))["company_name"] == "Acme"


class TestWhoIsSkipped:
    @pytest.mark.parametrize(
        ("attributes", "known", "reason"),
        [
            ({}, {}, "no_email"),
            ({"email": ""}, {}, "no_email"),
            ({"email": "n/a"}, {}, "no_email"),
            ({"email": "jane at acme"}, {}, "invalid_email"),
            ({"email": 7}, {}, "invalid_email"),
            ({"email": "jane@gmail.com"}, {}, "personal_email"),
            ({"email": "jane@mailinator.com"}, {}, "disposable_email"),
            ({"email": EMAIL}, {"email": "jane@gmail.com"}, "personal_email"),
        ],
    )
    async def test_nobody_is_asked_about_an_address_that_says_nothing(self, enrich, attributes, known, reason):
        lookup = apollo(hit(**ALL))
        draft = await enrich(lookup, known=known, item=an_item(attributes=attributes))
        assert (draft.skip_reason, lookup.calls, draft.cost_micros) == (reason, [], 0)

    async def test_an_address_is_cleaned_before_it_is_judged(self, enrich):
        """A form's trailing blank must not cost the lead its enrichment."""
        lookup = apollo()
        await enrich(lookup, item=an_item(attributes={"email": f" {EMAIL}\n"}))
        assert lookup.calls[0].email == EMAIL

    async def test_where_personal_addresses_are_enriched_the_mail_host_is_not_their_company(self, enrich):
        person, company = apollo(), ScriptedLookup("apollo.company", by_domain=True)
        item = an_item(attributes={"email": "jane@gmail.com"})
        draft = await enrich(company, person, item=item, rules=Rules(skip_personal=False))
        assert company.calls == []
        assert person.calls[0].domain is None
        assert draft.knowledge.obstacles["company_name"] is MissingReason.POLICY
        assert draft.subject_keys == ("email:jane@gmail.com",)


class TestValues:
    async def test_what_does_not_fit_is_set_aside_and_the_rest_kept(self, enrich):
        draft = await enrich(apollo(hit(title="CTO", employees="51-200")))
        assert found(draft)["title"] == "CTO"
        (bad,) = draft.knowledge.rejected
        assert (bad.field, bad.raw, bad.reason) == ("employees", "'51-200'", "not_a_number")

    async def test_a_later_provider_may_fill_what_an_earlier_one_had_wrong(self, enrich):
        draft = await enrich(apollo(hit(employees="many")), clearbit(hit(employees=250)))
        assert found(draft)["employees"] == 250

    async def test_people_and_companies_have_keys_of_their_own(self, enrich):
        draft = await enrich(apollo(hit(title="CTO", company_name="Acme")))
        assert {name: value.subject_key for name, value in draft.knowledge.values.items()} == {
            "email": PERSON,
            "title": PERSON,
            "company_name": COMPANY,
        }

    async def test_a_company_with_a_domain_of_its_own_is_not_the_one_of_the_address(self, enrich):
        """Someone with an agency's address works for a client: the client's data must not become the agency's."""
        draft = await enrich(apollo(hit(company_domain="www.client.io", company_name="Client")))
        assert draft.knowledge.values["company_name"].subject_key == "domain:client.io"

    async def test_so_it_is_with_a_company_that_the_record_names(self, enrich):
        draft = await enrich(apollo(), known={"company_domain": "https://client.io", "company_name": "Client"})
        assert draft.knowledge.values["company_name"].subject_key == "domain:client.io"

    async def test_the_price_of_a_call_stands_on_one_value_only(self, enrich):
        draft = await enrich(apollo(hit(**ALL)))
        assert sorted(value.cost_micros for value in draft.knowledge.values.values()) == [0, 0, 0, 20_000]
        assert draft.cost_micros == 20_000
