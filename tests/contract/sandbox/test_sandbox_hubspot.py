"""HubSpot contacts: reads, writes, partial failures, limits."""

import pytest

CONTACTS = "/hubspot/crm/v3/objects/contacts"


async def test_read_by_id_and_by_email(client):
    made = await client.create("hubspot/contacts", person=5, properties={"phone": "+1 415-555-0132"})
    url = f"{CONTACTS}/{made['id']}?properties=email,phone,jobtitle,no_such_property"
    status, body, headers = await client.call("GET", url)
    assert (status, body["id"], body["archived"]) == (200, made["id"], False)
    assert body["properties"]["phone"] == "+1 415-555-0132"
    assert body["properties"]["jobtitle"] is None
    assert "no_such_property" not in body["properties"]
    assert body["properties"]["hs_object_id"] == made["id"]
    assert headers["x-hubspot-ratelimit-max"] == "190"
    assert int(made["id"]) > 2**31
    _, by_email, _ = await client.call("GET", f"{CONTACTS}/{made['email'].upper()}?idProperty=email")
    assert by_email["id"] == made["id"]


async def test_unknown_contact_is_404(client):
    for method in ("GET", "PATCH"):
        status, body, _ = await client.call(method, f"{CONTACTS}/1", json={"properties": {}})
        assert (status, body["category"]) == (404, "OBJECT_NOT_FOUND")


@pytest.mark.parametrize("path", ["/1", "/batch/read", "/batch/update"])
async def test_missing_token_is_401(client, path):
    method = "GET" if path == "/1" else "POST"
    status, body, _ = await client.call(method, CONTACTS + path, json={}, headers={"authorization": "Bearer wrong"})
    assert (status, body["category"]) == (401, "INVALID_AUTHENTICATION")


async def test_update_keeps_strings_and_is_logged(client):
    made = await client.create("hubspot/contacts", person=0)
    properties = {"jobtitle": "VP", "numberofemployees": 640, "phone": None, "enrichment_status": "complete"}
    status, body, _ = await client.call("PATCH", f"{CONTACTS}/{made['id']}", json={"properties": properties})
    assert status == 200
    assert body["properties"]["numberofemployees"] == "640"
    assert body["properties"]["phone"] == ""
    assert body["updatedAt"] > body["createdAt"]
    writes = await client.writes()
    assert [(write["field"], write["old"], write["new"]) for write in writes] == [
        ("jobtitle", None, "VP"), ("numberofemployees", None, "640"), ("phone", None, ""),
        ("enrichment_status", None, "complete"),
    ]  # fmt: skip
    assert {(write["system"], write["id"]) for write in writes} == {("hubspot", made["id"])}


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("nope", "x", "PROPERTY_DOESNT_EXIST"),
        ("createdate", "x", "READ_ONLY_VALUE"),
        ("numberofemployees", "many", "INVALID_LONG"),
        ("jobtitle", {"a": 1}, "INVALID_TYPE"),
        ("jobtitle", "x" * 70_000, "PROPERTY_VALUE_TOO_LONG"),
    ],
)
async def test_refused_values_change_nothing(client, name, value, code):
    made = await client.create("hubspot/contacts", person=0)
    update = {"properties": {"city": "Oakland", name: value}}
    status, body, _ = await client.call("PATCH", f"{CONTACTS}/{made['id']}", json=update)
    assert (status, body["errors"][0]["code"]) == (400, code)
    assert await client.writes() == []


async def test_batch_update_maps_failures_by_trace_id(client):
    good = await client.create("hubspot/contacts", person=0)
    bad = await client.create("hubspot/contacts", person=1)
    inputs = [
        {"id": good["id"], "objectWriteTraceId": "t-good", "properties": {"jobtitle": "VP"}},
        {"id": bad["id"], "objectWriteTraceId": "t-bad", "properties": {"nope": "x"}},
        {"id": "1", "objectWriteTraceId": "t-gone", "properties": {"jobtitle": "VP"}},
    ]
    status, body, _ = await client.call("POST", f"{CONTACTS}/batch/update", json={"inputs": inputs})
    assert (status, body["numErrors"]) == (207, 2)
    assert [result["id"] for result in body["results"]] == [good["id"]]
    by_trace = {error["context"]["objectWriteTraceId"][0]: error["category"] for error in body["errors"]}
    assert by_trace == {"t-bad": "VALIDATION_ERROR", "t-gone": "OBJECT_NOT_FOUND"}
    assert [write["trace"] for write in await client.writes()] == ["t-good"]


async def test_batch_update_without_trace_id_fails_as_a_whole(client):
    made = [await client.create("hubspot/contacts", person=index) for index in range(2)]
    inputs = [
        {"id": made[0]["id"], "properties": {"jobtitle": "VP"}},
        {"id": made[1]["id"], "properties": {"nope": "x"}},
    ]
    status, body, _ = await client.call("POST", f"{CONTACTS}/batch/update", json={"inputs": inputs})
    assert (status, body["errors"][0]["code"]) == (400, "PROPERTY_DOESNT_EXIST")
    assert await client.writes() == []


async def test_batches_hold_a_hundred_different_contacts(client):
    made = (await client.create("hubspot/contacts", count=101))["records"]
    inputs = [{"id": record["id"], "properties": {"city": "Leeds"}} for record in made]
    for call in ("batch/read", "batch/update"):
        assert (await client.call("POST", f"{CONTACTS}/{call}", json={"inputs": inputs[:100]}))[0] == 200
        status, body, _ = await client.call("POST", f"{CONTACTS}/{call}", json={"inputs": inputs})
        assert (status, body["category"]) == (400, "VALIDATION_ERROR")
    status, _, _ = await client.call("POST", f"{CONTACTS}/batch/update", json={"inputs": inputs[:1] * 2})
    assert status == 400


async def test_batch_read_by_email(client):
    made = await client.create("hubspot/contacts", person=2)
    wanted = {"idProperty": "email", "properties": ["email"], "inputs": [{"id": made["email"]}]}
    _, body, _ = await client.call("POST", f"{CONTACTS}/batch/read", json=wanted)
    assert [result["id"] for result in body["results"]] == [made["id"]]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"inputs": 1}', b'{"inputs": [1]}'])
async def test_unreadable_batches_are_400(client, body):
    for call in ("batch/read", "batch/update"):
        assert (await client.call("POST", f"{CONTACTS}/{call}", data=body))[0] == 400
