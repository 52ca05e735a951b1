"""What every kind of delivery is answered, in process: the order of effects and the form of the answers."""

import asyncio
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.intake import (
    NOW,
    FixedClock,
    MemoryJournal,
    asgi_call,
    contact_creation,
    encode,
    flow_body,
    flow_headers,
    flow_sender,
    hubspot_headers,
    hubspot_sender,
)

from enrichment_dagster.errors import StoreError
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import GatewayDeps, Limits

HUBSPOT = "/webhooks/hubspot"
FLOW = "/webhooks/salesforce/flow"


async def post_hubspot(app, value, **headers):
    body = value if isinstance(value, bytes) else encode(value)
    return await asgi_call(app, HUBSPOT, body, {**hubspot_headers(body), **headers})


async def post_flow(app, value):
    return await asgi_call(app, FLOW, value if isinstance(value, bytes) else encode(value), flow_headers())


async def test_an_event_is_journaled_before_the_answer(app, memory_journal):
    status, headers, content = await post_hubspot(app, [contact_creation()])
    (event,) = memory_journal.events.values()
    assert (status, headers["content-type"]) == (200, "application/json")
    assert content == {"accepted": 1, "duplicates": 0, "rejected": 0, "event_ids": [event.event_id]}
    assert event.received_at == NOW


async def test_an_empty_batch_is_fine(app, memory_journal):
    status, _, content = await post_hubspot(app, [])
    assert (status, content["accepted"], memory_journal.calls) == (200, 0, [])


async def test_good_elements_go_on_and_bad_ones_are_kept(app, memory_journal):
    status, _, content = await post_hubspot(app, [contact_creation(1), {"eventId": 1}, contact_creation(2), None])
    assert (status, content["accepted"], content["rejected"]) == (200, 2, 2)
    assert [body.reason for body in memory_journal.kept] == ["missing_type", "not_an_object"]
    assert memory_journal.calls == ["append", "keep", "keep"]


async def test_hubspot_is_told_200_for_what_cannot_be_read_because_it_would_repeat_it_for_a_day(app, memory_journal):
    status, _, content = await post_hubspot(app, b"{not json")
    assert (status, content) == (200, {"accepted": 0, "kept": 1, "reason": "not_json"})
    (kept,) = memory_journal.kept
    assert (kept.source, kept.reason, kept.body, kept.received_at) == ("hubspot", "not_json", b"{not json", NOW)


async def test_flow_is_told_400_for_what_cannot_be_read(app, memory_journal):
    status, _, content = await post_flow(app, flow_body(lead_id=""))
    assert (status, content["error"]["reason"], content["kept"]) == (400, "bad_lead_id", 1)
    assert json.loads(memory_journal.kept[0].body)["lead_id"] == ""


async def test_a_stranger_leaves_nothing_behind(app, memory_journal):
    body = b"{not json"
    for path, headers in ((HUBSPOT, {}), (HUBSPOT, hubspot_headers(body, secret="wrong")), (FLOW, flow_headers("no"))):
        status, _, content = await asgi_call(app, path, body, headers)
        assert status == 401
        assert content["error"].keys() == {"reason", "detail"}
    assert memory_journal.calls == []


async def test_a_failing_journal_is_a_503_and_the_redelivery_is_accepted_once(app, memory_journal, captured_logs):
    memory_journal.failure = StoreError("disk full")
    status, headers, content = await post_hubspot(app, [contact_creation()])
    assert (status, headers["retry-after"], content["error"]["reason"]) == (503, "5", "journal_unavailable")
    assert "disk full" not in json.dumps(content)
    assert captured_logs[-1]["event"] == "journal failed"
    memory_journal.failure = None
    assert (await post_hubspot(app, [contact_creation()]))[2]["accepted"] == 1
    assert (await post_hubspot(app, [contact_creation()]))[2]["duplicates"] == 1


async def test_an_unreadable_body_that_cannot_be_kept_is_a_503(app, memory_journal):
    memory_journal.failure = OSError("disk full")
    for status, _, _ in (await post_hubspot(app, b"{"), await post_flow(app, b"{")):
        assert status == 503


async def test_a_journal_that_hangs_is_a_503(deps):
    class Hanging(MemoryJournal):
        async def append(self, events):
            await asyncio.Event().wait()

    app = create_app(replace(deps, journal=Hanging(), limits=replace(deps.limits, commit_seconds=0.01)))
    assert (await post_hubspot(app, [contact_creation()]))[0] == 503


async def test_a_body_may_come_in_chunks(app):
    body = encode([contact_creation()])
    chunks = [body[i : i + 7] for i in range(0, len(body), 7)]
    assert (await asgi_call(app, HUBSPOT, chunks, hubspot_headers(body)))[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=x"])
async def test_the_content_type_does_not_matter(app, kind):
    assert (await post_hubspot(app, [contact_creation()], **{"content-type": kind}))[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_a_405(app, method):
    status, headers, _ = await asgi_call(app, HUBSPOT, b"", {}, method)
    assert (status, headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/x", "/webhooks", "/webhooks/hubspot/", "/webhooks/unknown", "//webhooks/hubspot"])
async def test_other_paths_are_a_404(app, path):
    status, _, content = await asgi_call(app, path, b"", {})
    assert (status, content["error"]["reason"]) == (404, "unknown_path")


async def test_a_sender_that_is_not_configured_is_a_404(deps):
    assert (await post_flow(create_app(replace(deps, senders=[hubspot_sender()])), flow_body()))[0] == 404


async def test_a_fault_of_ours_is_raised_for_the_servers_log(deps):
    """Starlette answers 500 first; the sender will come again."""

    class Broken(FixedClock):
        def now(self):
            raise RuntimeError("broken clock")

    with pytest.raises(RuntimeError):
        await post_hubspot(create_app(replace(deps, clock=Broken())), [contact_creation()])


async def test_refusals_are_logged_once_a_minute_with_their_number(app, clock, captured_logs):
    async def refused():
        await asgi_call(app, HUBSPOT, b"[]", {})

    for _ in range(5):
        await refused()
    assert [(e["reason"], e["times"]) for e in captured_logs] == [("missing_signature", 1)]
    clock.move(60)
    await refused()
    assert [(e["reason"], e["times"]) for e in captured_logs][1:] == [("missing_signature", 5)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=10,
)
EVENTS = st.lists(st.builds(contact_creation, JSON, occurredAt=JSON | st.just(1790000001000), eventId=JSON), max_size=5)


@settings(max_examples=150)
@given(body=st.binary(max_size=300) | (JSON | EVENTS).map(encode))
async def test_no_signed_body_whatsoever_is_a_5xx(body):
    """And whatever was received is an event, a kept element or a kept body."""
    journal = MemoryJournal()
    app = create_app(
        GatewayDeps([hubspot_sender(), flow_sender()], journal, FixedClock(), Limits(max_body_bytes=100_000))
    )
    status, _, content = await post_hubspot(app, body)
    assert status == 200
    if "kept" in content:
        assert [k.body for k in journal.kept] == [body]
    else:
        assert content["accepted"] + content["duplicates"] + content["rejected"] == len(json.loads(body))
        assert len(journal.kept) == content["rejected"]
    status, _, _ = await post_flow(app, body)
    assert status in {200, 400}
