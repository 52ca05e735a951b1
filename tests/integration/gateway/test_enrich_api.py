"""POST /enrich and GET /events over real sockets and real stores: what is answered is true."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from support.enrich import KEY, LEAD, OTHER_KEY, refusal, running_api

from enrichment_dagster.domain.event import Lane, RecordRef
from enrichment_dagster.engine.routing import RESERVE
from enrichment_dagster.gateway.api.models import EnrichAnswer
from enrichment_dagster.store.tables import api_callbacks, journal

# --- what is answered ------------------------------------------------------------------------------------------------


def test_an_answer_has_values_with_their_provenance_and_reasons_for_the_rest(api):
    reply = api.enrich()
    assert reply.status == 200
    assert list(reply.content) == [
        "event_id",
        "status",
        "reason",
        "data",
        "provenance",
        "missing_fields",
        "routing",
        "cost_usd",
        "latency_ms",
    ]
    found = reply.content
    assert (found["status"], found["data"]["employees"], found["missing_fields"]) == (
        "partial",
        340,
        {"industry": "timeout"},
    )
    assert found["provenance"]["employees"].items() >= {"provider": "apollo", "confidence": 0.9, "stale": False}.items()
    assert found["routing"] == {
        "segment": "mid_market",
        "score": 25,
        "route": "inside_sales",
        "reasons": ["100 to 999 employees"],
    }
    assert (found["cost_usd"], found["latency_ms"]) == (0.02, 12.3)


def test_a_request_is_an_event_that_is_reserved_until_after_its_deadline(api):
    event_id = api.enrich({**LEAD, "domain": "https://www.northwind-parts.com/x", "deadline_ms": 2_900}).content[
        "event_id"
    ]
    ((event, known, seconds),) = api.lane.asked
    assert (event.event_id, event.source, event.lane) == (event_id, "api", Lane.ROUTING)
    assert event.subject == RecordRef("api", "request", event_id)
    assert event.reserved_until == event.received_at + timedelta(seconds=2.9) + RESERVE
    assert known == {
        "email": LEAD["email"],
        "company_name": "Northwind Parts",
        "company_domain": "northwind-parts.com",
    }
    assert 1 <= seconds <= 2.9


@pytest.mark.parametrize(
    ("given", "subject"),
    [
        ({"source_system": "salesforce", "source_id": "00Q5f000001abcD"}, ("salesforce", "lead", "00Q5f000001abcDEAQ")),
        ({"source_system": "HubSpot", "source_id": "4711"}, ("hubspot", "contact", "4711")),
        ({"source_system": "webform", "source_id": "a/b;c"}, ("webform", "record", "a/b;c")),
        ({"source_system": "webform", "source_object": "Signup", "source_id": "1"}, ("webform", "signup", "1")),
    ],
)
def test_the_record_that_it_concerns(api, given, subject):
    assert api.enrich({**LEAD, **given}).status == 200
    assert api.lane.asked[0][0].subject == RecordRef(*subject)


@pytest.mark.parametrize(
    ("given", "seconds"), [({}, 2.5), ({"deadline_ms": 1}, 0.001), ({"deadline_ms": 2_999}, 2.999),
                           ({"deadline_ms": 3_001}, 3.0), ({"deadline_ms": 10**90}, 3.0),
                           ({"deadline_ms": 10**400}, 3.0), ({"deadline_ms": 900.0}, 0.9)]
)  # fmt: skip
def test_the_deadline_is_the_callers_up_to_three_seconds(api, given, seconds):
    assert api.enrich({**LEAD, **given}).status == 200
    assert max(0.0, seconds - 0.5) <= api.lane.asked[0][2] <= seconds


def test_a_domain_alone_is_asked_for_and_not_refused(api):
    assert api.enrich({"domain": "acme.com"}).status == 200
    assert api.lane.asked[0][1] == {"company_domain": "acme.com"}


def test_an_address_that_is_none_is_the_lanes_to_judge(api):
    assert api.enrich({"email": "not an address"}).status == 200
    assert api.lane.asked[0][1] == {"email": "not an address"}


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE work; --", "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", "Zürich Würth — ü",
     "株式会社", "مرحبا", "🏢🏢", "e\u0301", "\u202eevil", "%00", "..\\..\\etc"],
)  # fmt: skip
def test_texts_of_any_kind_are_taken_as_texts(api, text):
    reply = api.enrich({**LEAD, "company": text})
    assert (reply.status, reply.content["data"]["company_name"]) == (200, text)
    journey = api.event(reply.content["event_id"])
    assert journey.content["event"]["attributes"]["company"] == text


# --- asked to be answered later --------------------------------------------------------------------------------------


def test_an_asynchronous_request_is_recorded_for_the_standard_lane(api, rows):
    reply = api.enrich({**LEAD, "mode": "async"})
    event_id = reply.content["event_id"]
    assert (reply.status, reply.content["status_url"]) == (202, f"/events/{event_id}")
    (row,) = rows(journal)
    assert (row["event_id"], row["lane"], row["reserved_until_ms"]) == (event_id, "standard", None)
    assert row["attributes"] == {**LEAD, "caller": "crm"}
    assert (api.lane.asked, rows(api_callbacks)) == ([], [])


def test_a_type_without_a_routing_plan_may_be_asked_asynchronously(api):
    assert api.enrich({**LEAD, "mode": "async", "event_type": "website_visit"}).status == 202


def test_a_repeated_asynchronous_request_is_recorded_once(api, rows):
    body = {**LEAD, "mode": "async", "callback_url": "http://127.0.0.1:9/x"}
    first, second = (api.enrich(body, idempotency_key="lead-1") for _ in range(2))
    assert (first.status, first.content, second.headers["idempotent-replayed"]) == (202, second.content, "true")
    assert (len(rows(journal)), len(rows(api_callbacks))) == (1, 1)


@pytest.mark.parametrize(
    "url",
    ["http://crm.example.com/x", "https://10.0.0.1/x", "https://[fd00::1]/", "https://169.254.169.254/latest",
     "https://user:pass@x.example.com", "ftp://x.example.com", "https://", "not a url", "javascript:alert(1)",
     "https://x.example.com/#a", "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/", "https://224.0.0.1/",
     "https://printer.local/", "https://metadata.google.internal/", "//x.example.com", "https://x.example.com:99999"],
)  # fmt: skip
def test_a_callback_url_that_may_not_be_posted_to_is_refused(api, rows, url):
    assert refusal(api.enrich({**LEAD, "mode": "async", "callback_url": url})) == (422, "bad_callback_url")
    assert (rows(journal), rows(api_callbacks)) == ([], [])


def test_this_machine_is_no_callback_url_unless_it_is_allowed(api_stores, api_journal):
    with running_api(api_stores, api_journal, local_callbacks=False) as api:
        for url in ("http://127.0.0.1:9/x", "https://127.0.0.1/x", "https://localhost/x", "https://[::1]/x"):
            reply = api.enrich({**LEAD, "mode": "async", "callback_url": url})
            assert refusal(reply) == (422, "bad_callback_url")


def test_a_caller_without_a_secret_gets_no_callbacks(api):
    body = {**LEAD, "mode": "async", "callback_url": "https://crm.example.com/x"}
    assert refusal(api.enrich(body, key=OTHER_KEY)) == (422, "no_callback_secret")


# --- journeys --------------------------------------------------------------------------------------------------------


def test_an_event_can_be_looked_at_by_every_caller(api):
    event_id = api.enrich().content["event_id"]
    for key in (KEY, OTHER_KEY):
        reply = api.event(event_id, key)
        assert (reply.status, reply.content["event"]["event_id"], reply.content["state"]) == (200, event_id, "received")


@pytest.mark.parametrize("name", ["evt_" + "0" * 24, "x", "%00", "evt_%25", "..%2f..%2fetc", "'%20OR%201=1", "%f0%9f"])
def test_an_unknown_event_is_a_404(api, name):
    assert api.event(name).status == 404


def test_an_event_is_not_shown_without_a_key(api):
    event_id = api.enrich().content["event_id"]
    assert refusal(api.event(event_id, None)) == (401, "unauthorized")


def test_events_are_read_one_after_the_other(api_stores, api_journal):
    """Who looks at events all the time must not make leads wait."""
    reading, most = [], []

    def read(event_id):
        reading.append(event_id)
        most.append(len(reading))
        time.sleep(0.02)
        reading.remove(event_id)

    with running_api(api_stores, api_journal, read_story=read) as api, ThreadPoolExecutor(8) as callers:
        replies = list(callers.map(lambda number: api.event(f"evt_{number:024}"), range(8)))
    assert ([reply.status for reply in replies], len(most), max(most)) == ([404] * 8, 8, 1)


def test_the_description_is_served_and_names_everything(api):
    reply = api.client.request("GET", "/openapi.json")
    paths = reply.content["paths"]
    assert {"/enrich", "/events/{event_id}"} <= paths.keys()
    assert set(paths["/enrich"]["post"]["responses"]) == {
        "200", "202", "400", "401", "408", "409", "413", "415", "422", "429", "503",
    }  # fmt: skip
    assert [api.client.request("GET", path).status for path in ("/docs", "/redoc")] == [404, 404]


def test_the_examples_of_the_description_can_be_sent_and_are_what_is_answered(api):
    described = api.client.request("GET", "/openapi.json").content
    body = described["paths"]["/enrich"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    replies = [api.enrich(example) for example in body["examples"]]
    assert [reply.status for reply in replies] == [200, 202]
    (example,) = described["components"]["schemas"]["EnrichAnswer"]["examples"]
    EnrichAnswer.model_validate(example, strict=True, extra="forbid")
    assert example.keys() == replies[0].content.keys()
