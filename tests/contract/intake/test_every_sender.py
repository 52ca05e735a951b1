"""The same suite for every sender of the registry: a new one has to be added to SAMPLES and pass."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.intake import FLOW_SECRET, HUBSPOT_SECRET, NOW, encode, flow_headers, hubspot_headers, sample

from enrichment_dagster.domain.keys import event_id
from enrichment_dagster.errors import PayloadError, SignatureError
from enrichment_dagster.intake.registry import build_senders
from enrichment_dagster.intake.sender import RawRequest
from enrichment_dagster.settings import load_settings

SENDERS = build_senders(
    load_settings(
        {
            "ENRICHMENT_CONFIG": str(Path(__file__).parents[3] / "enrichment.yaml"),
            "HUBSPOT_CLIENT_SECRET": HUBSPOT_SECRET,
            "SALESFORCE_FLOW_SECRET": FLOW_SECRET,
        }
    )
)
# A body as the vendor documents it, and what proves it.
SAMPLES = {
    "hubspot": (sample("hubspot-webhook-contact-creation.json"), hubspot_headers),
    "salesforce_flow": (sample("salesforce-flow-http-callout.json"), lambda _body: flow_headers()),
}

every_sender = pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)


def received(value):
    return len(value) if isinstance(value, list) else 1


@every_sender
def test_a_proven_sample_becomes_one_event(sender):
    body, prove = SAMPLES[sender.name]
    sender.verify(RawRequest("POST", prove(body), body), NOW)
    parsed = sender.parse(body, NOW)
    (event,) = parsed.events
    assert parsed.rejects == []
    assert (event.event_type, event.skip_reason, event.source) == ("lead_created", "", sender.name)
    assert event.event_id == event_id(event.dedup_key)
    assert event.received_at == NOW


@every_sender
def test_nothing_is_taken_unproven(sender):
    body, prove = SAMPLES[sender.name]
    proof = prove(body)
    for name in proof.keys() - {"content-type"}:
        for spoiled in ({**proof, name: ""}, {**proof, name: proof[name][::-1] + "x"}):
            with pytest.raises(SignatureError):
                sender.verify(RawRequest("POST", spoiled, body), NOW)
    with pytest.raises(SignatureError):
        sender.verify(RawRequest("POST", {}, body), NOW)


@every_sender
def test_the_same_delivery_is_the_same_event_at_any_time(sender):
    body, _ = SAMPLES[sender.name]
    later = NOW.replace(year=NOW.year + 1)
    assert sender.parse(body, NOW).events[0].event_id == sender.parse(body, later).events[0].event_id


@every_sender
def test_events_of_a_batch_come_in_its_order(sender):
    body, _ = SAMPLES[sender.name]
    value = json.loads(body)
    batch = (value if isinstance(value, list) else [value]) * 3
    ids = [event.event_id for event in sender.parse(encode(batch), NOW).events]
    assert len(ids) == 3
    assert len(set(ids)) == 1, "the journal finds duplicates, not the parser"


@every_sender
@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b"null", b"7", b'"x"', b"[NaN]", b"\xef\xbb\xbf[]", b'{"a":1,"a":1}']
)
def test_an_unreadable_body_is_a_payload_error_with_a_reason(sender, body):
    with pytest.raises(PayloadError) as caught:
        sender.parse(body, NOW)
    assert caught.value.reason.replace("_", "").isalnum()
    assert sender.unreadable_status in {200, 400}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
HUBSPOT_KEYS = ["eventId", "portalId", "occurredAt", "subscriptionType", "objectId", "fromObjectId", "objectTypeId"]
FLOW_KEYS = ["lead_id", "email", "company", "event_type", "timestamp"]
KEYS = st.sampled_from([*HUBSPOT_KEYS, *FLOW_KEYS])
HUBSPOT_VALUES = ["contact.creation", "object.creation", "0-1", 1246978, "1246978", 1790000001000, 2**70, None]
FLOW_VALUES = ["00Q5g00000AbCdE", "lead_created", "2026-09-21T12:53:21Z", ""]
LIKELY = st.sampled_from([*HUBSPOT_VALUES, *FLOW_VALUES])
ELEMENTS = st.dictionaries(KEYS, LIKELY | JSON, max_size=8)


def assert_read_or_refused(sender, body):
    """Every element is an event or a kept body, or the body as a whole is refused: nothing else can happen."""
    try:
        parsed = sender.parse(body, NOW)
    except PayloadError:
        return
    assert len(parsed.events) + len(parsed.rejects) == received(json.loads(body))
    for event in parsed.events:
        assert len(event.subject.record_id) <= 200
        assert len(event.sender_event_id) <= 200
        stored = json.dumps(dict(event.attributes), ensure_ascii=False)
        assert "\x00" not in stored
        assert stored.encode()


@every_sender
@given(body=st.binary(max_size=200))
def test_arbitrary_bytes(sender, body):
    assert_read_or_refused(sender, body)


@every_sender
@given(value=JSON | st.lists(ELEMENTS, max_size=6) | ELEMENTS)
def test_arbitrary_json(sender, value):
    assert_read_or_refused(sender, json.dumps(value).encode())


@every_sender
@given(
    headers=st.dictionaries(
        st.sampled_from(["x-hubspot-signature-v3", "x-hubspot-request-timestamp", "x-enrichment-secret"]),
        st.text(max_size=60),
    ),
    body=st.binary(max_size=50),
)
def test_arbitrary_headers_prove_nothing(sender, headers, body):
    with pytest.raises(SignatureError):
        sender.verify(RawRequest("POST", headers, body), NOW)
