"""Each event type from its own job to the CRM, and what its policy keeps from being bought."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.dagster_product import Product, metadata

from assets.lanes import LANES, Lane
from enrichment_dagster import resources
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.keys import email_subject
from enrichment_dagster.store.memory import SuppressionList

LANE_OF = {lane.event_type: lane for lane in LANES}
TODAY = datetime.now(UTC).date().isoformat()


def contact(product: Product, person: int, **properties: str) -> tuple[RecordRef, dict[str, Any]]:
    record_id = product.new_contact(person, **properties)
    return RecordRef("hubspot", "contact", record_id), product.contact(record_id)


def account(fields: dict[str, Any]) -> RecordRef:
    return RecordRef("account", "domain", domain_of(fields))


def domain_of(fields: dict[str, Any]) -> str:
    return str(fields["email"]).partition("@")[2]


def known_person(product: Product) -> tuple[RecordRef, dict[str, Any]]:
    """Somebody whom Apollo knows, with all that its emulator has of them."""
    world = product.sandbox.state.world
    person = next(
        n for n in range(200) if world.person(n).apollo and world.person(n).company and world.person(n).company.apollo
    )
    return contact(product, person)


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: lane.event_type)
def test_every_event_type_is_enriched_by_its_own_job(product: Product, lane: Lane) -> None:
    subject, fields = known_person(product)
    attributes: dict[str, Any] = {"email": fields["email"]}
    if lane.event_type in ("opportunity_stage_changed", "intent_signal"):
        subject, attributes = account(fields), {"domain": domain_of(fields)}
    if lane.event_type == "data_quality":
        attributes["problem"] = "job_change"
    event = product.event(lane.event_type, subject, **attributes)
    result = product.run_batch(product.assign(lane.event_type))
    told = metadata(result, lane.asset)
    assert told["events"] == 1
    assert told["fields_bought"] > 0
    assert told["cost_usd"] > 0
    assert product.explain(event)["outcome"] in {"enriched", "partial"}
    assert product.explain(event)["batches"][0]["run_ids"] == [result.run_id]


def test_a_replayed_day_of_any_lane_takes_what_has_no_end_and_with_refresh_all_of_it(product: Product) -> None:
    """As for leads: "Materialize" in the UI, and the launchpad's ``refresh``."""
    lane = LANE_OF["intent_signal"]
    _, fields = known_person(product)
    event = product.event("intent_signal", account(fields), domain=domain_of(fields))
    day = event.received_at.date().isoformat()
    assert metadata(product.run(day, lane=lane), lane.asset)["events"] == 1
    calls = product.provider_calls()
    assert metadata(product.run(day, lane=lane), lane.asset)["events"] == 0
    again = metadata(product.run(day, lane=lane, refresh=True), lane.asset)
    assert (again["events"], again["skipped"], again["cost_usd"]) == (1, 0, 0)
    assert product.provider_calls() == calls, "the cache pays"


# --- decisions not to enrich: recorded with their reason, nothing is bought, the record is not touched ---------------


def skipped(product: Product, event_type: str, subject: RecordRef, **attributes: Any) -> str:
    """Let an event have its turn; returns the reason why it came to nothing."""
    calls, writes = product.provider_calls(), product.writes()
    event = product.event(event_type, subject, seconds_ago=90, **attributes)
    batch = product.assign_or_none(event_type)
    if batch is not None:
        product.run_batch(batch)
    told = product.explain(event)
    assert (told["outcome"], told["cost_usd"]) == ("skipped", 0)
    assert (product.provider_calls(), product.writes()) == (calls, writes)
    return str(told["reason"])


def test_a_visitor_who_was_here_a_while_ago_is_cooled_down(product: Product) -> None:
    subject, fields = known_person(product)
    product.event("website_visit", subject, email=fields["email"], page="/pricing")
    product.run_batch(product.assign("website_visit"))
    assert skipped(product, "website_visit", subject, email=fields["email"], page="/demo") == "cooldown"


def test_an_account_whose_data_are_fresh_is_not_bought_again_for_its_next_contact(product: Product) -> None:
    """Bought for one contact; another one of the same account is associated an hour later, and told what it lacks."""
    subject, fields = known_person(product)
    product.event("contact_associated", subject, email=fields["email"])
    product.run_batch(product.assign("contact_associated"))
    calls, employees = product.provider_calls(), product.contact(subject.record_id)["numberofemployees"]
    email = f"someone.else@{domain_of(fields)}"
    colleague = product.new_contact(199, email=email)
    event = product.event("contact_associated", RecordRef("hubspot", "contact", colleague))
    product.run_batch(product.assign("contact_associated"))
    assert product.explain(event)["cost_usd"] == 0
    assert product.provider_calls() == calls
    assert product.contact(colleague)["numberofemployees"] == employees
    unknown = RecordRef("person", "email", f"not.in.any.crm@{domain_of(fields)}")
    said = {"email": unknown.record_id, "company": fields["company"]}
    assert skipped(product, "contact_associated", unknown, **said) == "fresh"


def test_a_complete_lead_is_not_enriched_again(product: Product) -> None:
    subject, fields = contact(product, 3, enrichment_status="Complete")
    assert skipped(product, "lead_created", subject, email=fields["email"]) == "status"


def test_a_suppressed_person_is_left_alone(product: Product) -> None:
    subject, fields = contact(product, 4)
    SuppressionList(product.stores.ops, product.stores.clock).add([email_subject(fields["email"])], "asked for it")
    assert skipped(product, "lead_created", subject) == "suppressed"


# --- repair ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_hunter(product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Product:
    """The shipped file with the provider enabled that finds addresses by name."""
    raw = yaml.safe_load((Path(__file__).parents[3] / "enrichment.yaml").read_text())
    raw["providers"]["hunter"]["enabled"] = True
    path = tmp_path / "with-hunter.yaml"
    path.write_text(yaml.safe_dump(raw))
    monkeypatch.setenv("ENRICHMENT_CONFIG", str(path))
    resources._open.cache_clear()
    return product


def bounce(fields: dict[str, Any]) -> dict[str, Any]:
    bad = str(fields["email"]).lower()
    return {"email": bad, "problem": "hard_bounce", "bad_field": "email", "bad_value": bad}


def test_a_bounced_address_is_replaced_in_the_crm_and_never_comes_back(with_hunter: Product) -> None:
    product = with_hunter
    _, right = known_person(product)
    typo = f"wrong.{right['email']}"
    subject, fields = contact(product, 0, email=typo, firstname=right["firstname"], lastname=right["lastname"])
    event = product.event("data_quality", subject, **bounce(fields))
    product.run_batch(product.assign("data_quality"))
    assert product.contact(subject.record_id)["email"] == right["email"]
    told = product.explain(event)
    assert {(bad["field"], bad["value"], bad["reason"]) for bad in told["proven_wrong"]} == {
        ("email", typo, "hard_bounce")
    }
    (delivery,) = told["deliveries"]
    assert delivery["written"]["email"] == right["email"]


def test_what_people_typed_in_the_meantime_stays(with_hunter: Product) -> None:
    product = with_hunter
    _, right = known_person(product)
    subject, fields = contact(
        product, 0, email=f"wrong.{right['email']}", **{n: right[n] for n in ("firstname", "lastname")}
    )
    product.event("data_quality", subject, **bounce(fields))
    batch = product.assign("data_quality")
    resources.EnrichmentResource().enrich(
        "data_quality", owner="run", batch_id=batch.batch_id, day=batch.day, refresh=False
    )
    typed = f"typed.by.hand@{domain_of(right)}"
    product.sandbox.state.hubspot.records[subject.record_id].fields["email"] = typed
    resources.EnrichmentResource().deliver("run")
    assert product.contact(subject.record_id)["email"] == typed


def test_a_bounced_address_for_which_there_is_no_other_is_marked_invalid_and_not_verified(product: Product) -> None:
    """What the cache says of it is ignored; only who was not asked before is asked, and not for a phone number."""
    subject, fields = known_person(product)
    product.event("lead_created", subject)
    product.run_batch(product.assign())
    assert product.contact(subject.record_id)["email"] == fields["email"]
    calls = product.provider_calls()
    event = product.event("data_quality", subject, seconds_ago=90, **bounce(fields))
    product.run_batch(product.assign("data_quality"))
    after = product.contact(subject.record_id)
    assert after["email"] == fields["email"], "nobody has another one: it stays where people see it"
    assert after["email_verification_status"] == "invalid"
    told = product.explain(event)
    assert "email" in told["missing"]
    assert {step["result"] for step in told["steps"] if step["lookup"] == "zerobounce.verification"} <= {"not_ready"}
    assert product.provider_calls() - calls <= 1


def test_who_works_elsewhere_now_is_moved_in_the_crm(product: Product) -> None:
    """Company, title and the intent to associate the record with the new company."""
    _, right = known_person(product)
    old = {"company": "Old Mill Ltd", "website": "old-mill.example.com", "jobtitle": "Miller"}
    world = product.sandbox.state.world
    person = next(n for n in range(200) if world.person(n).email == right["email"])
    subject, fields = contact(product, person, **old)
    event = product.event("data_quality", subject, email=fields["email"], problem="job_change")
    product.run_batch(product.assign("data_quality"))
    after = product.contact(subject.record_id)
    assert after["website"] == domain_of(right)
    assert after["company"] not in ("", old["company"])
    (delivery,) = product.explain(event)["deliveries"]
    assert delivery["employer"]["domain"] == domain_of(right)
    assert delivery["employer"]["former_domain"] == "example.com"
