"""HubSpot: documented requests and replies, partial success, batches that one record spoils."""

import json

import pytest
from support.loopback import loopback, reply, sample
from support.remote import settings_for

from enrichment_dagster.crm.registry import build_crms
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import CrmError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import CrmFailure, CrmRecord, RecordUpdate

DANA, OTHER = RecordRef("hubspot", "contact", "1246978"), RecordRef("hubspot", "contact", "1246965")


def ref(number):
    return RecordRef("hubspot", "contact", str(number))


@pytest.fixture
async def vendor():
    async with loopback() as server:
        yield server


@pytest.fixture
async def hubspot(vendor):
    async with RemoteClients() as clients:
        yield build_crms(settings_for(vendor.url), clients)["hubspot"]


async def test_documented_read(hubspot, vendor):
    vendor.answer(reply(200, sample("hubspot-crm-batch-read-response")))
    properties = ["email", "firstname", "lastname", "company", "enrichment_status"]
    results = await hubspot.read([DANA, OTHER], properties)
    assert vendor.requests[0].json == json.loads(sample("hubspot-crm-batch-read-request"))
    assert vendor.requests[0].path == "/crm/v3/objects/contacts/batch/read"
    found = results[DANA]
    assert isinstance(found, CrmRecord)
    assert found.properties["email"] == "dana.reyes@northwind-parts.com"
    assert results[OTHER] == CrmFailure("not_found", transient=False)


async def test_documented_write(hubspot, vendor):
    vendor.answer(reply(200, {"status": "COMPLETE", "results": [{"id": "1246978"}]}))
    [documented] = json.loads(sample("hubspot-crm-batch-update-request"))["inputs"]
    assert await hubspot.write([RecordUpdate(DANA, documented["properties"])]) == {DANA: None}
    [sent] = vendor.requests[0].json["inputs"]
    assert sent == {**documented, "objectWriteTraceId": DANA.record_id}


async def test_values_are_sent_as_text(hubspot, vendor):
    vendor.answer(reply(200, {"results": [{"id": "1246978"}]}))
    await hubspot.write([RecordUpdate(DANA, {"a": 640, "b": 120000000.0, "c": ["x", "y"], "d": True, "e": None})])
    sent = vendor.requests[0].json["inputs"][0]["properties"]
    assert sent == {"a": "640", "b": "120000000", "c": "x;y", "d": "true", "e": ""}


async def test_a_207_tells_which_records_failed(hubspot, vendor):
    errors = [
        {"category": "VALIDATION_ERROR", "message": "m", "context": {"objectWriteTraceId": ["2"]}},
        {"category": "OBJECT_NOT_FOUND", "message": "m", "context": {"ids": ["3"]}},
        {"category": "RATE_LIMITS", "errors": [{"context": {"objectWriteTraceId": ["4"]}}]},
    ]
    vendor.answer(reply(207, {"results": [{"id": "1"}], "numErrors": 3, "errors": errors}))
    results = await hubspot.write([RecordUpdate(ref(n), {"x": "1"}) for n in range(1, 6)])
    assert results[ref(1)] is None
    told = {r.record_id: (f.reason, f.transient) for r, f in results.items() if f}
    assert told == {
        "2": ("validation", False),
        "3": ("not_found", False),
        "4": ("throttled", True),
        "5": ("unconfirmed", True),
    }


async def test_a_207_of_a_read(hubspot, vendor):
    error = {"category": "OBJECT_NOT_FOUND", "message": "gone", "context": {"ids": ["1246965"]}}
    body = json.loads(sample("hubspot-crm-batch-read-response")) | {"numErrors": 1, "errors": [error]}
    vendor.answer(reply(207, body))
    results = await hubspot.read([DANA, OTHER], ["email"])
    assert isinstance(results[DANA], CrmRecord)
    assert results[OTHER] == CrmFailure("not_found", transient=False, detail="gone")


async def test_an_unknown_property_fails_its_records_only(hubspot, vendor):
    vendor.answer(
        reply(400, sample("hubspot-error-validation")), reply(200, {"results": [{"id": str(n)} for n in range(1, 10)]})
    )
    updates = [RecordUpdate(ref(n), {"jobtitle": "x"}) for n in range(1, 10)]
    results = await hubspot.write([RecordUpdate(ref(10), {"missing": "x"}), *updates])
    assert {r.record_id: f.reason for r, f in results.items() if f} == {"10": "validation"}
    assert "missing" in results[ref(10)].detail
    assert len(vendor.requests) == 2


async def test_a_refusal_without_a_name_is_isolated_by_halves(hubspot, vendor):
    def refuse_seven(writer):
        inputs = vendor.requests[-1].json["inputs"]
        bad = {"status": "error", "category": "VALIDATION_ERROR", "message": "Invalid"}
        fits = {"results": [{"id": item["id"]} for item in inputs]}
        return reply(400, bad)(writer) if any(i["id"] == "7" for i in inputs) else reply(200, fits)(writer)

    vendor.answer(refuse_seven)
    results = await hubspot.write([RecordUpdate(ref(n), {"x": "1"}) for n in range(100)])
    assert {r.record_id for r, f in results.items() if f} == {"7"}
    assert len(vendor.requests) <= 15


async def test_a_batch_in_which_all_is_wrong_does_not_burn_the_limit(hubspot, vendor):
    vendor.answer(reply(400, {"category": "VALIDATION_ERROR", "message": "Invalid"}))
    results = await hubspot.write([RecordUpdate(ref(n), {"x": "1"}) for n in range(100)])
    assert len(vendor.requests) <= 40
    assert {f.reason for f in results.values()} == {"validation", "batch_refused"}
    assert {f.transient for f in results.values() if f.reason == "batch_refused"} == {True}


async def test_batches_hold_a_hundred_and_a_record_once(hubspot, vendor):
    vendor.answer(reply(200, {"results": []}))
    await hubspot.read([ref(n) for n in range(250)] + [ref(1)], ["email"])
    assert [len(seen.json["inputs"]) for seen in vendor.requests] == [100, 100, 50]


@pytest.mark.parametrize(
    ("status", "body", "reason", "transient", "wait"),
    [
        (423, {}, "locked", True, 2),
        (429, {"policyName": "DAILY"}, "daily_limit", True, 3600),
        (429, {"policyName": "TEN_SECONDLY_ROLLING"}, "throttled", True, 10),
        (477, {}, "migrating", True, None),
        (521, {}, "unavailable", True, None),
        (523, {}, "unavailable", True, None),
        (524, {}, "unavailable", True, None),
        (401, {"category": "INVALID_AUTHENTICATION", "message": "no"}, "unauthorized", False, None),
        (400, {"message": "no category"}, "bad_request", False, None),
    ],
)
async def test_statuses(hubspot, vendor, status, body, reason, transient, wait):
    vendor.answer(reply(status, body))
    with pytest.raises(CrmError) as caught:
        await hubspot.write([RecordUpdate(DANA, {"x": "1"})])
    error = caught.value
    assert (error.reason, error.transient, error.retry_after_seconds) == (reason, transient, wait)


async def test_a_read_that_is_refused_for_its_content(hubspot, vendor):
    vendor.answer(reply(400, sample("hubspot-error-validation")))
    with pytest.raises(CrmError) as caught:
        await hubspot.read([DANA], ["email"])
    assert (caught.value.reason, caught.value.transient) == ("bad_request", False)
