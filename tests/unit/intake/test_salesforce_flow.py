"""Salesforce Flow callouts: shared secret, ids of 15 and 18 characters, the forms of a timestamp."""

from datetime import UTC, datetime

import pytest
from support.intake import FLOW_SECRET, NOW, encode, flow_body, flow_headers, flow_sender, read, sample

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import PayloadError, SignatureError
from enrichment_dagster.intake.salesforce_id import long_id, suffix
from enrichment_dagster.intake.sender import RawRequest


def one(**changes):
    parsed = read(flow_sender(), encode(flow_body(**changes)))
    assert not parsed.rejects
    (event,) = parsed.events
    return event


def reason_of(value):
    with pytest.raises(PayloadError) as caught:
        read(flow_sender(), value if isinstance(value, bytes) else encode(value))
    assert caught.value.status == 400
    return caught.value.reason


def test_the_documented_body_is_a_created_lead():
    (event,) = read(flow_sender(), sample("salesforce-flow-http-callout.json")).events
    assert event.event_type == "lead_created"
    assert event.source == "salesforce_flow"
    assert event.subject == RecordRef("salesforce", "lead", "00Q5g00000AbCdEEAX")
    assert event.occurred_at == datetime(2026, 9, 21, 12, 53, 21, tzinfo=UTC)
    assert event.received_at == NOW
    assert event.skip_reason == ""
    assert event.attributes == {"email": "dana.reyes@northwind-parts.com", "company": "Northwind Parts"}


@pytest.mark.parametrize("used", [FLOW_SECRET, "old-secret"])
def test_both_secrets_hold_while_one_is_rotated(used):
    sender = flow_sender(FLOW_SECRET, "old-secret")
    sender.verify(RawRequest("POST", flow_headers(used), b""), NOW)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing_secret"),
        ({"x-enrichment-secret": ""}, "missing_secret"),
        (flow_headers("wrong"), "bad_secret"),
        (flow_headers(FLOW_SECRET + "x"), "bad_secret"),
        (flow_headers(FLOW_SECRET[:-1]), "bad_secret"),
        (flow_headers("ÿ\udcff"), "bad_secret"),
    ],
)
def test_without_the_secret_nothing_is_taken(headers, reason):
    with pytest.raises(SignatureError) as caught:
        flow_sender().verify(RawRequest("POST", headers, b"{}"), NOW)
    assert caught.value.reason == reason
    assert FLOW_SECRET not in str(caught.value)
    assert FLOW_SECRET not in repr(flow_sender())


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        ("0016000000Ap9Yw", "AAJ"),
        ("00Q5g00000AbCdE", "EAV"),
        ("000000000000000", "AAA"),
        ("AAAAAAAAAAAAAAA", "555"),
        ("aaaaaaaaaaaaaaa", "AAA"),
    ],
)
def test_the_check_suffix_names_the_upper_case_letters(short, expected):
    assert suffix(short) == expected
    assert long_id(short) == short + expected


def test_both_lengths_of_an_id_are_one_record():
    short, long = one(lead_id="0016000000Ap9Yw"), one(lead_id="0016000000Ap9YwAAJ")
    assert short.subject == long.subject
    assert short.event_id == long.event_id


@pytest.mark.parametrize(
    "lead_id", ["", " ", None, 15, "00Q", "0" * 14, "0" * 16, "0" * 19, "00Q5g00000AbCd-", "é" * 15, []]
)
def test_what_is_no_record_id_is_refused(lead_id):
    assert reason_of(flow_body(lead_id=lead_id)) == "bad_lead_id"


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-09-21T12:53:21Z",
        "2026-09-21T12:53:21.000Z",
        "2026-09-21T12:53:21.000+0000",
        "2026-09-21T12:53:21+00:00",
        "2026-09-21 12:53:21Z",
        "2026-09-21T14:53:21+02:00",
        "2026-09-21T05:53:21-0700",
    ],
)
def test_one_moment_in_all_of_its_forms_is_one_event(timestamp):
    event = one(timestamp=timestamp)
    assert event.occurred_at == datetime(2026, 9, 21, 12, 53, 21, tzinfo=UTC)
    assert event.occurred_at.utcoffset().total_seconds() == 0
    assert event.event_id == one().event_id


@pytest.mark.parametrize(
    "timestamp",
    ["", None, "yesterday", "2026-09-21T12:53:21", "2026-09-21", "9/21/2026 12:53 PM", 1790000001000, "\ud800", [],
     "1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"],
)  # fmt: skip
def test_a_timestamp_needs_a_zone_and_a_plausible_year(timestamp):
    assert reason_of(flow_body(timestamp=timestamp)) == "bad_occurred_at"


def test_blank_values_are_absent():
    assert one(email="", company="  ").attributes == {}
    assert one(email=None, company=7).attributes == {}


def test_other_event_types_are_recorded_and_skipped():
    event = one(event_type="opportunity_won")
    assert (event.event_type, event.skip_reason) == ("unsupported", "unsupported_event_type")
    assert event.attributes["event_type"] == "opportunity_won"


@pytest.mark.parametrize("kind", ["", None, 3])
def test_an_event_type_is_needed(kind):
    assert reason_of(flow_body(event_type=kind)) == "missing_type"


@pytest.mark.parametrize("value", [1, "x", None, True])
def test_a_body_that_is_no_object_is_refused(value):
    assert reason_of(value) == "not_an_object"


def test_an_array_of_objects_is_read_element_by_element():
    batch = [flow_body(), 5, flow_body(lead_id="0016000000Ap9Yw"), flow_body(lead_id="")]
    parsed = read(flow_sender(), encode(batch))
    assert [e.subject.record_id for e in parsed.events] == ["00Q5g00000AbCdEEAX", "0016000000Ap9YwAAJ"]
    assert [r.reason for r in parsed.rejects] == ["not_an_object", "bad_lead_id"]


@pytest.mark.parametrize(
    "change", [{"lead_id": "0016000000Ap9Yw"}, {"event_type": "other"}, {"timestamp": "2026-09-21T12:53:22Z"}]
)
def test_whatever_tells_two_events_apart_is_in_the_dedup_key(change):
    assert one().event_id != one(**change).event_id
    assert one().event_id == one(email="else@example.com").event_id
