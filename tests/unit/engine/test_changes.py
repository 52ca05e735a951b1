"""What the record says is wrong or out of date: a bounced address, a dead number, another employer."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from support.builders import COMPANY, EMAIL, PERSON, a_plan, a_value, an_item
from support.clock import START, ManualClock
from support.ports import MISS, MemoryLedger, PlainMapper, ScriptedLookup, hit

from enrichment_dagster.domain.eligibility import Rules
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.engine.changes import EMPLOYER_FIELDS
from enrichment_dagster.engine.circumstances import Circumstances, circumstances_of, identify
from enrichment_dagster.engine.conclude import conclude
from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.engine.waterfall import enrich_event
from enrichment_dagster.ports import CachePolicy, Employer, Enrichment, Recollection, WorkKind

NEW = "jane.doe@beta.com"
GIVES = frozenset({"email", "email_status", "phone", "title", "company_name", "company_domain"})
WANTED = ("email", "email_status", "phone", "title", "company_name", "company_domain")
BOUNCE = {"email": EMAIL, "problem": "hard_bounce", "bad_field": "email", "bad_value": EMAIL}
RECORD = {
    "email": "Jane.Doe@acme.com",
    "email_status": "valid",
    "phone": "+14155550100",
    "title": "CTO",
    "company_name": "Acme",
    "company_domain": "acme.com",
}
REPAIR = Rules(recheck=EMPLOYER_FIELDS, follow_employer=True)


def apollo(*steps) -> ScriptedLookup:
    return ScriptedLookup("apollo.person", gives=GIVES, steps=steps or [MISS])


def verifier(status="valid") -> ScriptedLookup:
    return ScriptedLookup(
        "zerobounce.verification", gives=frozenset({"email_status"}), steps=[hit(email_status=status)]
    )


async def repaired(
    *lookups, attributes=None, known=None, rules=REPAIR, kind=WorkKind.EVENT, recalled=None
) -> Enrichment:
    """Enrich as a run does, and conclude."""
    clock = ManualClock()
    buyer = Buyer(MemoryLedger(clock), clock, RetryPolicy(1, 0.5, 8.0), CachePolicy(60, 60), random.Random(1))
    item = an_item(event_type="data_quality", attributes=BOUNCE if attributes is None else attributes, kind=kind)
    known = RECORD if known is None else known
    seen = circumstances_of(item, identify(item, known), recalled or Recollection(), None)
    plan = a_plan(*lookups, wanted=WANTED, rules=rules)
    draft = await enrich_event(item, known, plan, buyer, clock, known_from="hubspot", circumstances=seen)
    (found,) = conclude([draft], plan, PlainMapper(), lambda values: (list(values), []), START)
    return found


def values(enrichment: Enrichment) -> dict[str, object]:
    return {value.field: value.value for value in enrichment.values}


class TestABounce:
    async def test_a_new_address_is_sought_by_the_old_one_and_takes_its_place(self):
        """The old address is still the best thing to ask by; written over is exactly that one, as the CRM has it."""
        provider = apollo(
            hit(email=NEW, email_status="valid", title="CTO", company_name="Acme", company_domain="acme.com")
        )
        found = await repaired(provider)
        assert [query.email for query in provider.calls] == ["Jane.Doe@acme.com"]
        assert values(found)["email"] == NEW
        assert found.outbox is not None
        assert found.outbox.fill["p_email"] == NEW
        assert found.outbox.replace == {"p_email": "Jane.Doe@acme.com", "p_email_status": "valid"}
        assert found.wrong == (("email", EMAIL),)

    async def test_no_provider_brings_the_old_one_back(self):
        """Nor the status that it had at that provider. The next one is asked."""
        first = apollo(hit(email="JANE.DOE@acme.com", email_status="valid", phone="+14155550199"))
        second = ScriptedLookup("hunter.email", gives=frozenset({"email"}), steps=[hit(email=NEW)])
        found = await repaired(first, second)
        assert values(found)["email"] == NEW
        assert len(second.calls) == 1
        assert ("email", "proven_wrong") in {(bad.field, bad.reason) for bad in found.rejected}
        assert "email_status" not in values(found)

    async def test_where_nobody_has_another_one_the_status_says_that_it_is_invalid(self):
        """The address stays where people can see it, and is never bought or verified again."""
        check = verifier()
        found = await repaired(apollo(), check)
        assert check.calls == []
        assert values(found)["email_status"] == "invalid"
        assert found.outcome is Outcome.PARTIAL
        assert found.outbox is not None
        assert "p_email" not in found.outbox.fill
        assert (found.outbox.fill["p_email_status"], found.outbox.replace) == ("invalid", {"p_email_status": "valid"})

    async def test_the_new_address_is_verified(self):
        check = verifier()
        found = await repaired(apollo(hit(email=NEW)), check)
        assert [query.email for query in check.calls] == [NEW]
        assert values(found)["email_status"] == "valid"

    async def test_an_address_that_people_have_corrected_meanwhile_is_left_alone(self):
        found = await repaired(apollo(), known={**RECORD, "email": NEW})
        assert values(found)["email"] == NEW
        assert found.outbox is not None
        assert "p_email" not in found.outbox.replace

    async def test_other_events_of_the_person_know_it_too(self):
        """Proven by an earlier event, under the record's key or the person's."""
        for key in ("hubspot:contact:1", PERSON):
            recalled = Recollection(wrong={key: (("email", EMAIL),)})
            found = await repaired(apollo(hit(email=EMAIL)), attributes={"email": EMAIL}, recalled=recalled)
            assert values(found).get("email") is None
            assert found.wrong == (), "it was noted when it was proven"

    async def test_it_is_noted_even_where_the_person_is_not_enriched(self):
        item = an_item(event_type="data_quality", attributes=BOUNCE)
        clock, plan = ManualClock(), a_plan(apollo(), wanted=WANTED)
        buyer = Buyer(MemoryLedger(clock), clock, RetryPolicy(1, 0.5, 8.0), CachePolicy(60, 60), random.Random(1))
        away = Circumstances(suppressed=True)
        draft = await enrich_event(item, {}, plan, buyer, clock, known_from="sendgrid", circumstances=away)
        (found,) = conclude([draft], plan, PlainMapper(), lambda values: (list(values), []), START)
        assert (found.outcome, found.outbox, found.wrong) == (Outcome.SKIPPED, None, (("email", EMAIL),))


async def test_a_disconnected_number_is_replaced_by_another_one_only():
    dead = {"email": EMAIL, "problem": "disconnected", "bad_field": "phone", "bad_value": "+14155550100"}
    same = await repaired(apollo(hit(phone="+1 415 555 0100")), attributes=dead)
    assert "phone" in same.missing
    other = await repaired(apollo(hit(phone="+1 415 555 0177")), attributes=dead)
    assert other.outbox is not None
    assert other.outbox.fill["p_phone"] == "+14155550177"
    assert other.outbox.replace == {"p_phone": "+14155550100"}


MOVED = hit(title="VP", company_name="Beta", company_domain="beta.com")
CHANGE = {"email": EMAIL, "problem": "job_change"}


class TestAnotherEmployer:
    async def test_company_title_and_association_follow(self):
        found = await repaired(apollo(MOVED), attributes=CHANGE)
        assert found.outbox is not None
        assert found.outbox.employer == Employer("beta.com", "Beta", "acme.com")
        changed = {"p_title": "VP", "p_company_name": "Beta", "p_company_domain": "beta.com"}
        assert changed.items() <= found.outbox.fill.items()
        assert found.outbox.replace == {"p_title": "CTO", "p_company_name": "Acme", "p_company_domain": "acme.com"}

    async def test_another_title_at_the_same_company_is_no_change_of_jobs(self):
        """Providers word titles in their own way; what people typed stays."""
        found = await repaired(apollo(hit(title="Chief Tech", company_domain="acme.com")), attributes=CHANGE)
        assert found.outbox is not None
        assert (found.outbox.employer, found.outbox.replace) == (None, {})
        assert values(found)["company_name"] == "Acme", "nobody said otherwise"

    async def test_of_a_company_that_was_left_nothing_is_kept(self):
        found = await repaired(apollo(hit(company_domain="beta.com")), attributes=CHANGE)
        assert "title" in found.missing
        assert "company_name" in found.missing

    async def test_a_record_without_a_domain_is_compared_by_its_address(self):
        known = {name: value for name, value in RECORD.items() if name != "company_domain"}
        found = await repaired(apollo(MOVED), attributes=CHANGE, known=known)
        assert found.outbox is not None
        assert found.outbox.employer == Employer("beta.com", "Beta", "acme.com")

    async def test_where_nobody_may_follow_the_record_is_only_checked(self):
        """A visit asks whether somebody is still there; what they typed into the CRM stays theirs."""
        found = await repaired(apollo(MOVED), attributes=CHANGE, rules=Rules(recheck=EMPLOYER_FIELDS))
        assert found.outbox is not None
        assert (found.outbox.employer, found.outbox.replace) == (None, {})
        assert values(found)["company_domain"] == "beta.com", "it is in the ledger all the same"

    async def test_nobody_has_a_word_about_it_and_the_records_own_stands(self):
        found = await repaired(apollo(), attributes=CHANGE)
        assert (values(found)["title"], found.outcome) == ("CTO", Outcome.UNCHANGED)


@pytest.mark.parametrize("rules", [Rules(), REPAIR])
async def test_a_field_that_is_not_rechecked_is_not_asked_for(rules):
    provider = apollo()
    await repaired(provider, attributes={"email": EMAIL}, rules=rules)
    assert bool(provider.calls) is bool(rules.recheck)


async def test_a_rechecked_value_that_is_fresh_is_not_asked_for():
    """It was bought for another event a day ago."""
    provider = apollo()
    fresh = {
        PERSON: (a_value("title", "CTO"),),
        COMPANY: (a_value("company_name", "Acme"), a_value("company_domain", "acme.com")),
    }
    rules = Rules(recheck=EMPLOYER_FIELDS, fresh=timedelta(days=7))
    found = await repaired(provider, attributes={"email": EMAIL}, rules=rules, recalled=Recollection(values=fresh))
    assert provider.calls == []
    assert values(found)["title"] == "CTO"
