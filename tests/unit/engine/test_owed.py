"""Which record is told what, which edges were seen, and what becomes of a changed job."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.builders import COMPANY, EMAIL, PERSON, WANTED, a_plan, a_value, an_item
from support.clock import START
from support.ports import PlainMapper, ScriptedLookup

from enrichment_dagster.domain.edges import EdgeKind
from enrichment_dagster.domain.eligibility import Rules
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.engine.changes import EMPLOYER_FIELDS, settle
from enrichment_dagster.engine.circumstances import Circumstances
from enrichment_dagster.engine.conclude import conclude
from enrichment_dagster.engine.draft import start_draft
from enrichment_dagster.engine.subjects import Subject, known_company, known_person
from enrichment_dagster.ports import CrmRecord

KINDS = tuple(("hubspot", kind) for kind in ("contact", "company", "deal"))
MAPPER = PlainMapper(kinds=KINDS)
CONTACT, ACCOUNT, DEAL = (RecordRef("hubspot", kind, "7") for kind in ("contact", "company", "deal"))
OF_COMPANY = [a_value("company_name", "Acme"), a_value("employees", 9)]
FOUND = [a_value(), *OF_COMPANY]
PLAN = a_plan(ScriptedLookup(gives=frozenset(WANTED)))
DEAL_EVENT = {"event_type": "opportunity_stage_changed", "subject": DEAL}
MOVED = [
    a_value("company_domain", "beta.com", subject_key="domain:beta.com"),
    a_value("company_name", "Beta", subject_key="domain:beta.com"),
]
FOLLOWING = a_plan(ScriptedLookup(gives=frozenset(WANTED)), rules=Rules(recheck=EMPLOYER_FIELDS, follow_employer=True))
COMPANY_PLAN = a_plan(ScriptedLookup(), wanted=("company_name", "employees"))


def the_contact(**properties):
    return CrmRecord(CONTACT, {"p_email": EMAIL, "link": "7", **properties})


def the_company(**properties):
    return CrmRecord(ACCOUNT, {"p_company_domain": "acme.com", **properties})


def a_subject(*own, company=None, sought=False):
    companies = (company,) if company else ()
    links = tuple((record.ref, company) for record in own if company and record is not company)
    return Subject(own=own, companies=companies, links=links, sought=sought)


def drafted(subject, *values, event=None, plan=PLAN):
    item = an_item(7, **{"subject": CONTACT, "attributes": {}, **(event or {})})
    person, company = (known(subject, item.event, MAPPER) for known in (known_person, known_company))
    draft = start_draft(item, person.fields, plan, START, known_from="hubspot", company=company, subject=subject)
    draft.knowledge.add(values)
    return draft


def concluded(*args, plan=PLAN, **more):
    draft = drafted(*args, plan=plan, **more)
    settle(draft, plan)
    (found,) = conclude([draft], plan, MAPPER, lambda c: (list(c), []), START)
    return found


def told(enrichment):
    return {entry.ref: (dict(entry.fill), dict(entry.assign)) for entry in enrichment.owed}


class TestRecords:
    def test_the_company_is_told_its_fields_and_the_contact_all_of_them(self):
        found = concluded(a_subject(the_contact(), company=the_company()), *FOUND)
        fill, assign = told(found)[CONTACT]
        assert fill == {"p_title": "CTO", "p_company_name": "Acme", "p_employees": 9}
        assert assign["status"] == "enriched"
        assert told(found)[ACCOUNT] == ({"p_company_name": "Acme", "p_employees": 9}, {})
        assert found.outbox.ref == CONTACT

    def test_each_write_has_an_identity_of_its_own_that_repeats_with_the_work(self):
        first, again = (
            concluded(a_subject(the_contact(), company=the_company()), *FOUND, event={"at": at})
            for at in (START, START + timedelta(hours=1))
        )
        ids = [entry.outbox_id for entry in first.owed]
        assert len(set(ids)) == 2
        assert ids == [entry.outbox_id for entry in again.owed]

    def test_what_was_found_of_another_company_is_not_written_to_this_one(self):
        other = [replace(value, subject_key="domain:other.com") for value in OF_COMPANY]
        moved = a_value("company_domain", "other.com", subject_key="domain:other.com")
        found = concluded(a_subject(the_contact(), company=the_company(p_company_domain="old.com")), *other, moved)
        assert ACCOUNT not in told(found)

    def test_a_company_record_without_a_domain_takes_the_domain_of_its_people(self):
        company = the_company(p_company_domain=None)
        found = concluded(a_subject(the_contact(), company=company), *OF_COMPANY)
        assert told(found)[ACCOUNT][0] == {"p_company_name": "Acme", "p_employees": 9}

    def test_what_the_company_record_has_is_not_bought_and_what_its_contact_says_does_not_count(self):
        subject = a_subject(the_contact(p_company_name="As typed", p_employees=3), company=the_company(p_employees=9))
        draft = drafted(subject)
        assert draft.knowledge.missing() == ["title", "company_name"]
        assert draft.knowledge.values["employees"].value == 9

    def test_a_company_is_told_what_it_lacks_and_that_once_by_all_events_of_a_batch(self):
        company = the_company(p_company_name="Acme Inc.")
        drafts = [drafted(a_subject(the_contact(), company=company), *OF_COMPANY) for _ in range(3)]
        promised = {}
        found = [conclude([draft], PLAN, MAPPER, lambda c: (list(c), []), START, promised)[0] for draft in drafts]
        fills = [told(enrichment)[ACCOUNT][0] for enrichment in found if ACCOUNT in told(enrichment)]
        assert fills == [{"p_employees": 9}]

    def test_nothing_is_owed_to_a_company_of_which_nothing_was_found(self):
        assert list(told(concluded(a_subject(the_contact(), company=the_company()), a_value()))) == [CONTACT]

    def test_records_that_were_found_are_told_like_those_that_events_name(self):
        other = CrmRecord(RecordRef("hubspot", "contact", "8"), {"p_email": EMAIL})
        event = {"subject": RecordRef("person", "email", EMAIL)}
        found = concluded(a_subject(the_contact(), other, sought=True), *FOUND, event=event)
        assert {ref.record_id: assign["status"] for ref, (_, assign) in told(found).items()} == {
            "7": "enriched", "8": "enriched",
        }  # fmt: skip
        assert found.reason == ""

    def test_somebody_without_a_record_is_enriched_and_nobody_is_told(self):
        event = {"subject": RecordRef("person", "email", EMAIL), "attributes": {"email": EMAIL}}
        found = concluded(Subject(sought=True), *FOUND, event=event)
        assert (str(found.outcome), found.reason, found.owed) == ("enriched", "no_record", ())
        assert {value.subject_key for value in found.values} == {PERSON, COMPANY}


class TestFreshValues:
    """Another contact of the account bought them not long ago."""

    PLAN = a_plan(
        ScriptedLookup(gives=frozenset({"company_name", "employees"})),
        wanted=("company_name", "employees"),
        rules=Rules(needs="domain", fresh=timedelta(days=30)),
    )

    def fresh(self, company, *lacking, values=OF_COMPANY, plan=PLAN):
        subject = replace(a_subject(the_contact(), company=company), blank=frozenset(lacking))
        item = an_item(7, subject=CONTACT, event_type="contact_associated")
        person, of_company = (known(subject, item.event, MAPPER) for known in (known_person, known_company))
        given = {"company": of_company, "subject": subject, "circumstances": Circumstances(fresh=tuple(values))}
        return start_draft(item, person.fields, plan, START, known_from="hubspot", **given)

    def test_an_account_that_lacks_what_we_hold_is_told_and_nobody_is_asked(self):
        draft = self.fresh(the_company(p_company_name="Acme"), "employees")
        assert (draft.skip_reason, draft.knowledge.missing()) == ("", [])
        settle(draft, self.PLAN)
        (found,) = conclude([draft], self.PLAN, MAPPER, lambda c: (list(c), []), START)
        assert told(found)[ACCOUNT] == ({"p_employees": 9}, {})
        assert (str(found.outcome), found.cost_micros) == ("enriched", 0)

    def test_where_no_record_has_a_place_for_it_the_event_ends(self):
        assert self.fresh(the_company(p_company_name="Acme"), "industry").skip_reason == "fresh"

    def test_what_we_hold_of_another_company_is_no_reason(self):
        other = [replace(value, subject_key="domain:other.com") for value in OF_COMPANY]
        draft = self.fresh(the_company(), "employees", values=[*OF_COMPANY[:1], *other])
        assert draft.knowledge.missing() == ["employees"]


class TestDealsAndAccounts:
    def test_a_deal_needs_no_address_and_its_company_is_told_as_well(self):
        deal = CrmRecord(DEAL, {"link": "7"})
        found = concluded(a_subject(deal, company=the_company()), *OF_COMPANY, event=DEAL_EVENT, plan=COMPANY_PLAN)
        assert told(found) == {
            DEAL: ({"p_company_name": "Acme", "p_employees": 9}, {}),
            ACCOUNT: ({"p_company_name": "Acme", "p_employees": 9}, {}),
        }

    def test_a_deal_without_a_company_has_nobody_to_ask_about(self):
        found = concluded(a_subject(CrmRecord(DEAL, {})), event=DEAL_EVENT, plan=COMPANY_PLAN)
        assert (str(found.outcome), found.reason, found.owed) == ("skipped", "no_domain", ())

    def test_an_account_gets_a_status_of_its_own(self):
        event = {"event_type": "intent_signal", "subject": RecordRef("account", "domain", "acme.com")}
        found = concluded(
            a_subject(the_company(), company=the_company(), sought=True), *OF_COMPANY, event=event, plan=COMPANY_PLAN
        )
        ((ref, (fill, assign)),) = told(found).items()
        assert (ref, fill, assign["status"]) == (ACCOUNT, {"p_company_name": "Acme", "p_employees": 9}, "enriched")

    @pytest.mark.parametrize("address", ["jane@gmail.com", None, "not an address"])
    def test_a_plan_for_companies_needs_no_business_address(self, address):
        subject = a_subject(the_contact(p_email=address), company=the_company())
        draft = drafted(subject, plan=COMPANY_PLAN, event={"event_type": "contact_associated"})
        assert (draft.skip_reason, draft.query().domain, draft.query().email) == ("", "acme.com", None)

    def test_without_a_company_it_says_what_is_wrong_with_the_address(self):
        subject = a_subject(the_contact(p_email="jane@gmail.com", link=None))
        assert drafted(subject, plan=COMPANY_PLAN).skip_reason == "personal_email"

    def test_a_plan_for_people_skips_a_personal_address_whatever_the_company(self):
        subject = a_subject(the_contact(p_email="jane@gmail.com"), company=the_company())
        assert drafted(subject).skip_reason == "personal_email"


class TestEdges:
    def test_the_crms_link_and_the_enrichments_company_are_edges(self):
        found = concluded(a_subject(the_contact(), company=the_company()), *FOUND)
        assert [(e.contact_key, e.company_key, str(e.kind), e.system) for e in found.edges] == [
            (PERSON, COMPANY, "associated", "hubspot"),
            (PERSON, COMPANY, "employed", ""),
        ]
        assert {(edge.contact, edge.company) for edge in found.edges} == {(CONTACT, ACCOUNT)}
        assert not any(edge.replaces for edge in found.edges)

    def test_an_association_event_is_dated_by_its_sender(self):
        event = {"event_type": "contact_associated", "attributes": {"company_id": "7"}}
        found = concluded(a_subject(the_contact(), company=the_company()), event=event, plan=COMPANY_PLAN)
        (edge,) = [edge for edge in found.edges if edge.kind is EdgeKind.ASSOCIATED]
        assert edge.at == found.item.event.occurred_at

    def test_the_link_of_a_skipped_event_is_kept_under_what_is_known_of_its_ends(self):
        for email, key in (("jane@gmail.com", "email:jane@gmail.com"), (None, "record:hubspot:contact:7")):
            subject = a_subject(the_contact(p_email=email), company=the_company(p_company_domain=None))
            found = concluded(subject)
            assert str(found.outcome) == "skipped"
            assert [(e.contact_key, e.company_key) for e in found.edges] == [(key, "record:hubspot:company:7")]

    def test_without_anything_of_the_company_nobody_is_employed_there(self):
        assert concluded(a_subject(the_contact(link=None)), a_value()).edges == ()


class TestJobChange:
    def event(self, problem="job_change"):
        return {"event_type": "data_quality", "attributes": {"problem": problem}}

    def test_the_contact_is_linked_to_the_new_company_and_the_old_edge_is_replaced(self):
        found = concluded(a_subject(the_contact(), company=the_company()), *MOVED, event=self.event(), plan=FOLLOWING)
        assert told(found)[CONTACT][1]["link"] == "domain:beta.com"
        assert ACCOUNT not in told(found)
        (edge,) = [edge for edge in found.edges if edge.kind is EdgeKind.EMPLOYED]
        assert (edge.contact_key, edge.company_key, edge.replaces) == (PERSON, "domain:beta.com", True)

    def test_a_company_without_a_domain_gets_nothing_of_the_new_one(self):
        subject = a_subject(the_contact(), company=the_company(p_company_domain=None))
        found = concluded(subject, *MOVED, event=self.event(), plan=FOLLOWING)
        assert list(told(found)) == [CONTACT]

    def test_what_the_record_says_of_the_job_is_asked_for_again(self):
        subject = a_subject(the_contact(p_title="CTO"), company=the_company(p_company_name="Acme", p_employees=9))
        draft = drafted(subject, event=self.event(), plan=FOLLOWING)
        assert draft.knowledge.missing() == ["title", "company_name", "employees"]
        assert (draft.query().email, draft.query().domain) == (EMAIL, None)

    def test_an_address_at_another_company_tells_a_job_change_too(self):
        draft = drafted(
            a_subject(the_contact(p_email=None), company=the_company()),
            event={**self.event("hard_bounce"), "attributes": {"problem": "hard_bounce", "email": EMAIL}},
            plan=FOLLOWING,
        )
        draft.knowledge.refuse("email", EMAIL)
        draft.knowledge.add([a_value("email", "jane@beta.com")])
        settle(draft, FOLLOWING)
        (found,) = conclude([draft], FOLLOWING, MAPPER, lambda c: (list(c), []), START)
        assert told(found)[CONTACT][1]["link"] == "domain:beta.com"

    @pytest.mark.parametrize("domain", ["acme.com", None])
    def test_the_same_company_is_no_change(self, domain):
        values = [a_value("company_domain", domain)] if domain else []
        found = concluded(a_subject(the_contact(), company=the_company()), *values, event=self.event(), plan=FOLLOWING)
        assert "link" not in told(found)[CONTACT][1]
        assert not any(edge.replaces for edge in found.edges)

    def test_elsewhere_the_crms_word_on_the_company_counts(self):
        found = concluded(a_subject(the_contact(), company=the_company()), *MOVED)
        assert "link" not in told(found)[CONTACT][1]
