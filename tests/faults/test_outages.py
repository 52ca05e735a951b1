"""Vendors and CRMs that are down, slow, throttling or broken, against the real stores and adapters."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from inprocess import Pipeline, running_pipeline, wait_follow_up

DOWN = {"error_rate": 1.0}
HANGS = {"hang_rate": 1.0, "hang_seconds": 3}
KNOWN_TO_ALL = 0  # Dana Reyes of Northwind Parts: both providers know her without gaps


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path) as found:
        yield found


@pytest.mark.parametrize("fault", [DOWN, HANGS], ids=["down", "hangs"])
@pytest.mark.parametrize(
    ("system", "title", "status"), [("hubspot", "jobtitle", "enrichment_status"), ("salesforce", "Title", None)]
)
def test_results_wait_for_a_crm_that_takes_no_writes(
    pipeline: Pipeline, fault: dict[str, float], system: str, title: str, status: str | None
) -> None:
    """The issue: CRM down - results are stored, and written back when it returns. Nothing is bought again for it."""
    ref = pipeline.lead(KNOWN_TO_ALL, system)
    pipeline.faults(hubspot__batch_update=fault, salesforce__collections_update=fault)
    report = pipeline.enrich()
    assert report.outcomes.total() == 1
    first = pipeline.deliver()
    assert first.put_off.total() == 1
    assert first.statuses.total() == 0
    assert pipeline.works(ref)[0]["state"] == "done", "the result is stored whatever the CRM does"
    paid = pipeline.sandbox.state.counters.as_data()["billed_total"]

    pipeline.faults()
    (entry,) = pipeline.owed()
    assert entry["tries"] == 1
    assert entry["last_reason"]
    assert pipeline.deliver().statuses.total() == 0, "not before its time: a CRM that is down must not be hammered"
    pipeline.make_due()
    second = pipeline.deliver()
    assert second.statuses.total() == 1
    assert pipeline.owed() == []
    assert pipeline.fields(ref)[title]
    assert pipeline.fields(ref)[status or "Enrichment_Status__c"]
    assert pipeline.works(ref)[0]["delivered_at_ms"]
    assert pipeline.sandbox.state.counters.as_data()["billed_total"] == paid
    _no_field_twice(pipeline)


def test_a_crm_that_can_not_be_read_defers_the_event(pipeline: Pipeline) -> None:
    """HubSpot's event names a record and no address: as long as it can't be read there is nobody to look up."""
    ref = pipeline.lead(KNOWN_TO_ALL)
    pipeline.faults(hubspot__batch_read=DOWN)
    assert pipeline.run().deferred == 1
    (row,) = pipeline.works(ref)
    assert (row["state"], row["reason"], row["deferrals"]) == ("due", "crm_down", 1)
    balance = pipeline.stores.health().balance()
    assert balance.holds
    assert balance.in_flight == 1


def test_one_crm_down_does_not_hold_up_the_other(pipeline: Pipeline) -> None:
    """Deliveries are per system: a HubSpot outage is not a Salesforce outage."""
    contact, lead = pipeline.lead(KNOWN_TO_ALL), pipeline.lead(KNOWN_TO_ALL, "salesforce")
    pipeline.faults(hubspot__batch_update=DOWN)
    pipeline.run()
    assert pipeline.fields(lead)["Enrichment_Status__c"]
    assert not pipeline.fields(contact).get("enrichment_status")
    assert len(pipeline.owed()) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"error_rate": 1.0}, "unavailable"),
        ({"hang_rate": 1.0, "hang_seconds": 2}, "timeout"),
        ({"malformed_rate": 1.0}, "malformed"),
    ],
    ids=["down", "slow", "malformed"],
)
def test_a_provider_that_fails_costs_fields_not_leads(pipeline: Pipeline, fault: dict[str, float], reason: str) -> None:
    """The issue: provider down, slow, malformed - a partial result now, retried later, and the CRM's status follows."""
    ref = pipeline.lead(KNOWN_TO_ALL)
    pipeline.faults(clearbit__combined_find=fault, **{"apollo.*": fault})
    report = pipeline.run()
    assert report.outcomes.keys() <= {"partial", "failed"}
    row = pipeline.works(ref)[0]
    assert row["state"] == "done"
    assert "title" in row["missing"]
    assert row["missing"]["title"] in {"provider_down", "timeout"}
    assert {item["state"] for item in pipeline.attempts("apollo")} == {"error"}
    assert reason in {item["reason"] for item in pipeline.attempts("apollo")}
    assert not pipeline.fields(ref).get("jobtitle")
    before = pipeline.fields(ref)["enrichment_status"]

    pipeline.faults()
    wait_follow_up()
    assert pipeline.run().outcomes == {"enriched": 1}
    follow_up = pipeline.works(ref)[1]
    assert follow_up["kind"] == "gap_fill"
    fields = pipeline.fields(ref)
    assert fields["jobtitle"]
    assert (before, fields["enrichment_status"]) in {("Partial", "Complete"), ("Failed", "Complete")}
    assert fields["enrichment_missing_fields"] in (None, "")
    assert pipeline.stores.health().balance().received == 1, "a follow-up is no event of its own"


def test_a_throttled_call_waits_as_long_as_it_was_told(pipeline: Pipeline) -> None:
    """429 with Retry-After: the next try comes no earlier than the vendor asked for."""
    pipeline.lead(KNOWN_TO_ALL)
    pipeline.faults(apollo__people_match={"throttle_rate": 1.0, "retry_after_seconds": 1})
    pipeline.run()
    calls = [item for item in pipeline.attempts("apollo") if item["purpose"] == "person"]
    assert {item["http_status"] for item in calls} == {429}
    assert {item["cost_micros"] for item in calls} == {0}
    gaps = [later["sent_at_ms"] - earlier["settled_at_ms"] for earlier, later in pairwise(calls)]
    assert all(gap >= 950 for gap in gaps), gaps


def test_follow_ups_end(pipeline: Pipeline) -> None:
    """A provider that stays down is asked as often as the plan says, and then the lead is left as it is."""
    ref = pipeline.lead(KNOWN_TO_ALL)
    pipeline.faults(**{"apollo.*": DOWN, "clearbit.*": DOWN})
    for _ in range(4):
        pipeline.run()
        wait_follow_up()
    assert [row["kind"] for row in pipeline.works(ref)] == ["event", "gap_fill", "gap_fill"]
    assert {row["state"] for row in pipeline.works(ref)} == {"done"}
    assert pipeline.owed() == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_duplicate_and_reordered_deliveries_give_one_enrichment(pipeline: Pipeline, seed: int) -> None:
    """Senders repeat for a day and keep no order: each fact becomes one event, one bill, one write."""
    rng = random.Random(seed)
    refs = [pipeline.lead(person, rng.choice(["hubspot", "salesforce"])) for person in range(6)]
    deliveries = [ref for ref in refs for _ in range(rng.randint(1, 4))]
    rng.shuffle(deliveries)
    half = len(deliveries) // 2
    assert not any(pipeline.receive(*deliveries[:half]))
    first = pipeline.run()
    assert not any(pipeline.receive(*deliveries[half:]))
    assert pipeline.run().outcomes.total() == 0
    assert first.outcomes.total() == len(refs)
    balance = pipeline.stores.health().balance()
    assert (balance.received, balance.in_flight) == (len(refs), 0)
    billed = pipeline.sandbox.state.counters.as_data()["billed_subjects"]
    assert {times for subjects in billed.values() for times in subjects.values()} <= {1}
    _no_field_twice(pipeline)


def _no_field_twice(pipeline: Pipeline) -> None:
    places = [(write["id"], write["field"]) for write in pipeline.sandbox.state.writes.as_data()]
    assert len(places) == len(set(places))
