"""Contacts, accounts and opportunities, end to end: from the event to both CRMs' records and the tables."""

from __future__ import annotations

from collections import Counter

import pytest
from inprocess import Pipeline, quick, running_pipeline
from sqlalchemy import select

from enrichment_dagster.composition import open_warehouse, project
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.store.tables import contact_company, crm_writes, work

NORTHWIND, DANA = "northwind-parts.com", "dana.reyes@northwind-parts.com"


def at_once(config):
    """Every event has its turn at once, and is worked on whatever became of the last one."""
    quick(config)
    for name in ("contact_associated", "opportunity_stage_changed", "website_visit", "intent_signal", "data_quality"):
        config["event_types"][name]["policy"].update(debounce_seconds=0, cooldown_seconds=0)
        for lane in config["event_types"][name]["lanes"].values():
            lane["fresh_seconds"] = None  # the tests share their people


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    with running_pipeline(tmp_path_factory.mktemp("accounts"), at_once) as pipeline:
        yield pipeline


@pytest.fixture
def pipeline(installation: Pipeline) -> Pipeline:
    installation.sandbox.state.clear_crm()
    installation.faults(**{"*": {"latency": 0}})
    return installation


@pytest.fixture
def company(pipeline):
    """The record of a company of the world; the first one is Northwind, whom every provider knows."""

    def company(system, index=0):
        kind = "company" if system == "hubspot" else "account"
        return RecordRef(system, kind, pipeline.sandbox.state.accounts.companies[system, index])

    return company


@pytest.fixture
def dana(pipeline, company):
    """Her HubSpot contact, linked to a company."""

    def dana(index=0):
        state = pipeline.sandbox.state
        record = state.hubspot.create({"email": DANA, "firstname": "Dana", "lastname": "Reyes"})
        state.links.put("contact", record.id, company("hubspot", index).record_id)
        return RecordRef("hubspot", "contact", record.id)

    return dana


def remembering(config):
    """As ``at_once``, but what was bought not long ago counts, as shipped."""
    lanes = {name: dict(config["event_types"][name]["lanes"]["standard"]) for name in config["event_types"]}
    at_once(config)
    for name, lane in lanes.items():
        config["event_types"][name]["lanes"]["standard"]["fresh_seconds"] = lane.get("fresh_seconds")


def rows(pipeline, table, **of):
    wanted = select(table).where(*(table.c[name] == value for name, value in of.items()))
    with pipeline.stores.ops.read() as connection:
        return [dict(row) for row in connection.execute(wanted).mappings()]


def query(pipeline, text):
    project(pipeline.settings, pipeline.stores)
    return open_warehouse(pipeline.settings).query(text).rows()


def provider_calls(pipeline):
    calls = pipeline.sandbox.state.counters.as_data()["calls"]
    return {name: count for name, count in calls.items() if not name.startswith(("hubspot.", "salesforce."))}


def writes_of(pipeline):
    return [(write["kind"], write["id"], write["field"]) for write in pipeline.sandbox.state.writes.as_data()]


def test_a_contact_is_associated_and_its_account_is_enriched_once(pipeline, company, dana):
    contact, account = dana(), company("hubspot")
    said = {"company_id": account.record_id, "association": "CONTACT_TO_COMPANY"}
    pipeline.receive_event("contact_associated", contact, **said)
    report = pipeline.run("contact_associated")
    assert sum(report.outcomes.values()) == 1
    record = pipeline.fields(account)
    assert (record["numberofemployees"], record["annualrevenue"]) == ("640", "120000000")
    assert record["key_contacts"]
    assert pipeline.fields(contact)["enrichment_status"] in {"Complete", "Partial"}

    before, calls = writes_of(pipeline), pipeline.sandbox.state.counters.as_data()["billed_total"]
    pipeline.receive_event("contact_associated", contact, **said)
    report = pipeline.run("contact_associated")
    assert (report.outcomes, report.cost_micros) == ({"unchanged": 1}, 0)
    assert pipeline.sandbox.state.counters.as_data()["billed_total"] == calls
    again = writes_of(pipeline)[len(before) :]
    assert {kind for kind, _, _ in again} <= {"contact"}, "the account was written twice"

    edges = rows(pipeline, contact_company, contact_record=contact.key)
    assert {(edge["contact_key"], edge["company_key"], edge["kind"], edge["system"]) for edge in edges} == {
        (f"email:{DANA}", f"domain:{NORTHWIND}", "associated", "hubspot"),
    } | {(f"email:{DANA}", f"domain:{NORTHWIND}", "employed", "")}
    chart = query(pipeline, f"SELECT email, rank, source FROM org_chart WHERE company_domain = '{NORTHWIND}'")
    assert [source for email, _, source in chart if email == DANA] == ["crm"]
    assert "account_contacts" in {source for _, _, source in chart}
    assert [rank for _, rank, _ in chart] == sorted(rank for _, rank, _ in chart)


def test_an_account_that_lacks_what_we_hold_is_told_and_nobody_is_asked(tmp_path):
    """Salesforce's account bought the data; HubSpot's record of the same company is found empty a moment later."""
    with running_pipeline(tmp_path, remembering) as pipeline:
        pipeline.faults(**{"*": {"latency": 0}})
        state = pipeline.sandbox.state
        accounts = {system: state.accounts.companies[system, 0] for system in ("salesforce", "hubspot")}
        buyer = state.stores["salesforce", "contact"].create({"Email": DANA, "AccountId": accounts["salesforce"]})
        pipeline.receive_event("contact_associated", RecordRef("salesforce", "contact", buyer.id))
        assert pipeline.run("contact_associated").cost_micros > 0
        calls = provider_calls(pipeline)

        colleague = state.hubspot.create({"email": f"somebody.else@{NORTHWIND}"})
        state.links.put("contact", colleague.id, accounts["hubspot"])
        contact = RecordRef("hubspot", "contact", colleague.id)
        pipeline.receive_event("contact_associated", contact)
        report = pipeline.run("contact_associated")
        assert (report.outcomes, report.cost_micros) == ({"enriched": 1}, 0)
        record = pipeline.fields(RecordRef("hubspot", "company", accounts["hubspot"]))
        assert (record["numberofemployees"], record["annualrevenue"]) == ("640", "120000000")
        assert record["key_contacts"]

        written = writes_of(pipeline)
        pipeline.receive_event("contact_associated", contact)
        assert pipeline.run("contact_associated").outcomes == {"unchanged": 1}
        again = writes_of(pipeline)[len(written) :]
        assert {kind for kind, _, _ in again} <= {"contact"}, "it is told how it went; the account has it all"
        assert provider_calls(pipeline) == calls


def test_an_opportunity_is_followed_to_its_account(pipeline, company):
    account = company("salesforce")
    deal = RecordRef("salesforce", "opportunity", pipeline.sandbox.state.accounts.deals["salesforce", 0])
    pipeline.receive_event("opportunity_stage_changed", deal, stage="Negotiation/Review")
    pipeline.run("opportunity_stage_changed")
    assert pipeline.fields(deal)["Account_Executives__c"]
    assert "NumberOfEmployees" not in pipeline.fields(deal)
    assert pipeline.fields(account)["NumberOfEmployees"] == 640
    assert pipeline.fields(account)["Key_Executives__c"] == pipeline.fields(deal)["Account_Executives__c"]


def test_an_account_that_is_known_by_its_domain_is_found_in_both_crms(pipeline, company):
    pipeline.receive_event("intent_signal", RecordRef("account", "domain", NORTHWIND), domain=NORTHWIND, score=90)
    pipeline.run("intent_signal")
    assert pipeline.fields(company("hubspot"))["numberofemployees"] == "640"
    assert pipeline.fields(company("salesforce"))["NumberOfEmployees"] == 640


def test_a_person_who_is_known_by_their_address_is_found(pipeline, dana):
    contact = dana()
    pipeline.receive_event("website_visit", RecordRef("person", "email", DANA), email=DANA, page="/pricing")
    pipeline.run("website_visit")
    assert pipeline.fields(contact)["jobtitle"]


def test_a_person_who_is_named_in_two_ways_is_bought_once_and_written_once(pipeline):
    """By the website's address and by the CRM's id: two events, each with a turn of its own."""
    who = next(one for one in pipeline.sandbox.world.all_people[5:] if one.is_business)
    contact = RecordRef("hubspot", "contact", pipeline.sandbox.state.hubspot.create({"email": who.email}).id)
    before = provider_calls(pipeline)
    for subject in (RecordRef("person", "email", who.email), contact):
        pipeline.receive_event("website_visit", subject, email=who.email, page="/pricing")
    report = pipeline.run("website_visit")
    assert sum(report.outcomes.values()) == 2
    calls = {name: count - before.get(name, 0) for name, count in provider_calls(pipeline).items()}
    assert max(calls.values()) == 1
    times = Counter(field for kind, _, field in writes_of(pipeline) if kind == "contact")
    assert times["jobtitle"] == 1
    assert {field for field, count in times.items() if count > 1} <= {
        "enrichment_status", "enrichment_missing_fields", "enriched_at",
    }  # fmt: skip


def test_somebody_whom_no_crm_has_is_enriched_for_the_tables_alone(pipeline):
    somebody = RecordRef("person", "email", DANA)
    pipeline.receive_event("website_visit", somebody, email=DANA, page="/pricing")
    report = pipeline.run("website_visit")
    assert report.reasons == {"no_record": 1}
    assert writes_of(pipeline) == []
    (done,) = rows(pipeline, work, subject_id=DANA, reason="no_record")
    assert done["outcome"] in {"enriched", "partial"}
    assert rows(pipeline, crm_writes, work_id=done["work_id"]) == []


def test_a_change_of_jobs_moves_the_contact_to_the_company_that_the_crm_has(pipeline, company, dana):
    contact, before, now = dana(3), company("hubspot", 3), company("hubspot")
    old_domain = pipeline.sandbox.world.all_companies[3].domain
    pipeline.receive_event("data_quality", contact, problem="job_change")
    pipeline.run("data_quality")
    assert pipeline.sandbox.state.links.primary("contact", contact.record_id) == now.record_id
    assert "numberofemployees" not in pipeline.fields(before)
    (write,) = rows(pipeline, crm_writes, record_id=contact.record_id)
    assert write["written"]["@company"] == now.record_id
    ended = {
        edge["company_key"]: edge["ended_at_ms"] is not None
        for edge in rows(pipeline, contact_company, contact_record=contact.key)
    }
    assert ended == {f"domain:{old_domain}": True, f"domain:{NORTHWIND}": False}

    moves = [write for write in writes_of(pipeline) if write[2] == "company"]  # the link, and the company's name
    pipeline.receive_event("data_quality", contact, problem="job_change")
    pipeline.run("data_quality")
    assert [write for write in writes_of(pipeline) if write[2] == "company"] == moves
