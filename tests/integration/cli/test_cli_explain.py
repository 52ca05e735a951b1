from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import insert
from support.story import BAD_PHONE, EMAIL, FIRST_NAME, Installation, call, environment

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.intake.salesforce_id import long_id
from enrichment_dagster.store.tables import dead_letters

PERSONAL = (EMAIL, "jane.doe", FIRST_NAME, BAD_PHONE, "CTO", "Acme Secret Corp")


def read(installation: Installation, *words: str) -> dict[str, Any]:
    result = call(environment(installation.home), "explain", *words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


async def test_the_journey_of_a_delivered_event(installation: Installation) -> None:
    event = await installation.receive()
    await installation.deliver(await installation.enrich(event))
    report = read(installation, event.event_id)
    assert (report["state"], report["outcome"], report["cost_usd"]) == ("done", "partial", 0.02)
    assert report["event"]["source"] == "hubspot"
    assert report["event"]["sender_event_id"] == "3816279480"
    assert report["event"]["record"] == "hubspot:contact:1246978"
    assert report["latency"]["hops"] == {"ingest_lag": 1.5, "queue_wait": 3.0, "processing": 1.0, "delivery": 0.25}
    assert (report["latency"]["seconds"], report["latency"]["open"]) == (5.75, False)
    steps = ["occurred", "received", "assigned to a batch", "handed to Dagster", "started", "finished", "delivered"]
    assert [row["step"] for row in report["timeline"]] == steps
    assert [row["seconds"] for row in report["timeline"]] == [0, 1.5, 1, 0, 2, 1, 0.25]
    (batch,) = report["batches"]
    assert (batch["run_ids"], batch["work_ids"], batch["starts"]) == (["run-0001"], [event.event_id], 1)


async def test_every_call_with_its_price_and_a_masked_subject(installation: Installation) -> None:
    event = await installation.receive()
    await installation.enrich(event)
    hit, error = read(installation, event.event_id)["calls"]
    assert hit | {"sent_at": "", "settled_at": ""} == {
        "provider": "apollo",
        "purpose": "person",
        "subject": "email:j***@acme.com",
        "state": "hit",
        "reason": "",
        "http_status": 200,
        "latency_ms": 200,
        "cost_usd": 0.02,
        "role": "",
        "units": 1,
        "request_id": "req-1",
        "sent_at": "",
        "settled_at": "",
    }
    assert (error["state"], error["reason"], error["http_status"]) == ("error", "throttled", 429)


async def test_fields_missing_quarantine_and_crm(installation: Installation) -> None:
    event = await installation.receive()
    await installation.deliver(await installation.enrich(event))
    report = read(installation, event.event_id)
    record, bought = report["fields"]
    assert (record["field"], record["value"], record["origin"]) == ("email", EMAIL, "record")
    assert (bought["value"], bought["origin"], bought["confidence"]) == (FIRST_NAME, "bought", 0.9)
    assert (bought["cost_usd"], bought["call_usd"], bought["provider"]) == (0.02, 0.02, "apollo")
    assert record["call_usd"] is None
    assert bought["age_seconds"] > 0
    assert report["missing"] == {"title": "no_data", "industry": "provider_down"}
    assert report["quarantined"][0]["raw"] == BAD_PHONE
    (delivery,) = report["deliveries"]
    assert (delivery["state"], delivery["status"]) == ("done", "written")
    assert delivery["written"] == {"firstname": FIRST_NAME, "enrichment_status": "Partial"}
    assert delivery["kept"] == {"jobtitle": "the record has another value"}


@pytest.mark.parametrize("request_id", ["req-1", ""])
async def test_an_answer_from_the_cache_names_the_event_that_paid(installation: Installation, request_id: str) -> None:
    """Without a request id the answer is known again by the moment at which it was stored."""
    payer = await installation.receive()
    await installation.deliver(await installation.enrich(payer, request_id=request_id, follow_up=False))
    paid_at = read(installation, payer.event_id)["calls"][0]["settled_at"]
    installation.clock.move(1)
    event = await installation.receive(777)
    await installation.enrich(event, request_id=request_id, follow_up=False)
    if not request_id:
        with installation.stores.ops.write() as connection:
            connection.exec_driver_sql(
                "UPDATE field_values SET fetched_at_ms = (SELECT settled_at_ms FROM attempts WHERE state = 'hit') "
                "WHERE provider = 'apollo'"
            )
    report = read(installation, event.event_id)
    assert report["calls"] == []
    assert report["cost_usd"] == 0
    (reused,) = report["reused"]
    assert (reused["paid_by_event"], reused["paid_usd"]) == (payer.event_id, 0.02)
    assert (reused["purpose"], reused["fields"]) == ("person", ["first_name"])
    assert paid_at is not None
    assert report["fields"][1]["origin"] == "cached"
    assert payer.event_id in call(environment(installation.home), "explain", event.event_id).stdout


async def test_a_payer_that_is_not_known_is_not_made_up(installation: Installation) -> None:
    await installation.enrich(await installation.receive(), follow_up=False)
    installation.clock.move(1)
    event = await installation.receive(777)
    await installation.enrich(event, request_id="another", follow_up=False)
    assert read(installation, event.event_id)["reused"][0]["paid_by_event"] is None


async def test_a_write_that_is_owed(installation: Installation) -> None:
    event = await installation.receive()
    await installation.put_off(await installation.enrich(event))
    report = read(installation, event.event_id)
    (delivery,) = report["deliveries"]
    assert (report["state"], report["latency"]["open"]) == ("owed", True)
    assert (delivery["state"], delivery["tries"], delivery["reason"]) == ("owed", 1, "throttled")
    assert delivery["owed"]["firstname"] == FIRST_NAME
    assert delivery["next_at"] is not None
    assert "owed, 1 try" in call(environment(installation.home), "explain", event.event_id).stdout


async def test_a_write_that_the_crm_rejects(installation: Installation) -> None:
    event = await installation.receive()
    entry = await installation.enrich(event)
    await installation.deliver(entry, status="rejected", reason="validation")
    (delivery,) = read(installation, event.event_id)["deliveries"]
    assert (delivery["state"], delivery["status"], delivery["reason"]) == ("rejected", "rejected", "validation")
    assert "rejected by the CRM" in call(environment(installation.home), "explain", event.event_id).stdout


async def test_follow_ups_are_listed_and_found_by_their_work_id(installation: Installation) -> None:
    event = await installation.receive()
    await installation.enrich(event)
    work_id = f"{event.event_id}/gap-1"
    (follow_up,) = read(installation, work_id)["follow_ups"]
    assert (follow_up["work_id"], follow_up["kind"], follow_up["state"]) == (work_id, "gap_fill", "due")
    assert work_id in call(environment(installation.home), "explain", event.event_id).stdout


async def test_an_event_that_is_only_in_the_journal(installation: Installation) -> None:
    event = await installation.receive()
    report = read(installation, event.event_id)
    assert (report["state"], report["outcome"], report["timeline"][-1]["step"]) == ("received", None, "received")
    assert list(report["latency"]["hops"]) == ["ingest_lag", "queue_wait"]
    listed = read(installation, "hubspot:contact:1246978")
    assert listed["events"][0]["state"] == "received"
    assert "not picked up yet" in call(environment(installation.home), "explain", event.event_id).stdout


async def test_an_event_that_was_skipped_at_the_door(installation: Installation) -> None:
    event = await installation.receive(skip_reason="unsupported_event_type")
    assert read(installation, event.event_id)["reason"] == "unsupported_event_type"
    installation.dispatch.pump()
    report = read(installation, event.event_id)
    assert (report["state"], report["outcome"], report["reason"]) == ("done", "skipped", "unsupported_event_type")


async def test_a_dead_letter_tells_why(installation: Installation) -> None:
    event = await installation.receive()
    await installation.enrich(event, outcome=Outcome.DEAD)
    row = {"work_id": event.event_id, "event_id": event.event_id, "event_type": "lead_created", "component": "run"}
    row |= {"reason": "worker_crashes", "detail": "5 workers died", "created_at_ms": 0, "rev": 1}
    with installation.stores.ops.write() as connection:
        connection.execute(insert(dead_letters).values(row))
    assert read(installation, event.event_id)["dead_letters"][0]["reason"] == "worker_crashes"
    assert "5 workers died" in call(environment(installation.home), "explain", event.event_id).stdout


async def test_a_unique_beginning_is_enough(installation: Installation) -> None:
    event = await installation.receive()
    installation.dispatch.pump()
    for name in (event.event_id[:10], event.event_id[4:12], event.event_id.upper()):
        assert read(installation, name)["event"]["event_id"] == event.event_id


async def test_an_ambiguous_beginning_ends_with_2(installation: Installation) -> None:
    events = [await installation.receive(number) for number in (1, 2)]
    result = call(environment(installation.home), "explain", "evt_")
    assert result.exit_code == 2
    assert all(event.event_id in result.stderr for event in events)


@pytest.mark.parametrize("name", ["evt_0000", "zzz", "hubspot:contact:5", "abcd", "evt_%", "evt_x/gap-1", ""])
async def test_what_is_not_known_ends_with_1(installation: Installation, name: str) -> None:
    await installation.receive()
    result = call(environment(installation.home), "explain", name)
    assert result.exit_code == 1
    assert "nothing is known" in result.stderr


async def test_a_record_lists_its_events(installation: Installation) -> None:
    first = await installation.receive(777)
    await installation.enrich(first, follow_up=False)
    installation.clock.move(1)
    second = await installation.receive(777)
    await installation.receive(888)
    for name in ("hubspot:contact:777", "777"):
        report = read(installation, name)
        assert [item["event_id"] for item in report["events"]] == [second.event_id, first.event_id]
    assert list(report["events"][0]) == ["event_id", "event_type", "received_at", "state", "outcome", "reason"]
    assert f"explain {second.event_id}" in call(environment(installation.home), "explain", "777").stdout


async def test_the_only_event_of_a_record_is_told_in_full(installation: Installation) -> None:
    """People want its journey; scripts get the list whose form does not depend on how many there are."""
    event = await installation.receive(777)
    await installation.enrich(event)  # with a follow-up, which is no event of its own
    shown = call(environment(installation.home), "explain", "hubspot:contact:777").stdout
    assert shown.startswith(event.event_id)
    assert "Timeline" in shown
    assert "Events of" not in shown
    assert {item["event_id"] for item in read(installation, "777")["events"]} == {event.event_id}


async def test_a_salesforce_record_is_found_by_its_short_id(installation: Installation) -> None:
    short = "00Q5f000001abcD"
    ref = RecordRef("salesforce", "lead", str(long_id(short)))
    event = await installation.receive(subject=ref, source="salesforce_flow")
    for name in (short, f"salesforce:lead:{short}", ref.record_id):
        assert read(installation, name)["events"][0]["event_id"] == event.event_id


async def test_no_values_hides_what_is_known_of_people(installation: Installation) -> None:
    event = await installation.receive()
    await installation.deliver(await installation.enrich(event))
    await installation.put_off(await installation.enrich(await installation.receive(2), follow_up=False))
    shown = read(installation, event.event_id)
    for words in ([event.event_id], [event.event_id, "--json"]):
        output = call(environment(installation.home), "explain", *words, "--no-values").stdout
        assert not [text for text in PERSONAL if text in output]
        assert "first_name" in output
    hidden = read(installation, event.event_id, "--no-values")
    assert list(hidden) == list(shown)
    assert hidden["deliveries"][0]["written"] == {"firstname": None, "enrichment_status": None}


@pytest.mark.parametrize(
    ("kind", "who", "shown"),
    [("email", EMAIL, "person:email:j***@acme.com"), ("phone", "+14155550132", "person:phone:***")],
)
async def test_a_person_without_a_record_stays_unnamed(
    installation: Installation, kind: str, who: str, shown: str
) -> None:
    event = await installation.receive(subject=RecordRef("person", kind, who))
    await installation.enrich(event)
    assert read(installation, event.event_id)["event"]["record"] == f"person:{kind}:{who}"
    assert read(installation, event.event_id, "--no-values")["event"]["record"] == shown
    assert [found["event_id"] for found in read(installation, f"person:{kind}:{who}")["events"]] == [event.event_id]


async def test_the_keys_stay_as_scripts_know_them(installation: Installation) -> None:
    event = await installation.receive()
    await installation.enrich(event)
    report = read(installation, event.event_id)
    assert list(report) == [
        "event",
        "state",
        "outcome",
        "reason",
        "caused_by",
        "cost_usd",
        "latency",
        "timeline",
        "routing",
        "batches",
        "calls",
        "reused",
        "steps",
        "late_answers",
        "fields",
        "missing",
        "quarantined",
        "proven_wrong",
        "deliveries",
        "follow_ups",
        "dead_letters",
        "values_shown",
        "passed_over",
    ]
    assert list(report["fields"][0]) == [
        "field",
        "value",
        "provider",
        "origin",
        "subject",
        "confidence",
        "fetched_at",
        "age_seconds",
        "expires_at",
        "cost_usd",
        "call_usd",
        "work_id",
        "chosen",
        "stale",
        "precedence",
        "alternatives",
    ]


async def test_an_event_that_our_own_write_caused_names_the_one_behind_it(installation: Installation) -> None:
    event = await installation.receive()
    await installation.deliver(await installation.enrich(event, follow_up=False))
    assert read(installation, event.event_id)["caused_by"] is None
    said = {"propertyName": "firstname", "propertyValue": FIRST_NAME}
    echo = await installation.receive(attributes=said, occurred_at=installation.clock.now())
    installation.dispatch.pump()
    report = read(installation, echo.event_id)
    assert (report["outcome"], report["reason"], report["caused_by"]) == ("skipped", "own_write", event.event_id)
    shown = call(environment(installation.home), "explain", echo.event_id).stdout
    assert f"follows from what was written for {event.event_id}" in shown
