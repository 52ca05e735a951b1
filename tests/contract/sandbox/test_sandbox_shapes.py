"""Each emulator answers in the documented shape: the samples' keys and types, no more and no less."""

import json

import pytest
from sandbox_skeleton import assert_shape, differences

from enrichment_dagster.sandbox.signing import build_flow_delivery, build_hubspot_delivery, contact_creation

MATCH = "/apollo/api/v1/people/match"
CONTACTS = "/hubspot/crm/v3/objects/contacts"
DANA = "dana.reyes@northwind-parts.com"


async def test_apollo_people_match(client, sample):
    status, body, _ = await client.call("POST", MATCH, json=sample("apollo-people-match-request"))
    assert status == 200
    assert_shape(sample("apollo-people-match-response"), body)
    assert body["person"]["email"] == DANA
    assert -(2**63) <= body["request_id"] < 2**63


async def test_apollo_organization(client, sample):
    _, body, _ = await client.call("GET", "/apollo/api/v1/organizations/enrich?domain=northwind-parts.com")
    assert_shape(sample("apollo-organization-enrich-response"), body)


async def test_apollo_throttled(client, sample, set_faults):
    set_faults("apollo.people_match", throttle_rate=1, retry_after_seconds=3)
    status, body, headers = await client.call("POST", MATCH, json={"email": DANA})
    assert (status, headers["retry-after"]) == (429, "3")
    assert_shape(sample("apollo-error-429"), body)


async def test_clearbit_combined(client, sample):
    status, body, _ = await client.call("GET", f"/clearbit/v2/combined/find?email={DANA}")
    assert status == 200
    assert_shape(sample("clearbit-combined-response"), body)


async def test_clearbit_invalid_email(client, sample):
    status, body, _ = await client.call("GET", "/clearbit/v2/combined/find?email=nobody")
    assert status == 422
    assert_shape(sample("clearbit-error-422"), body)
    assert body == sample("clearbit-error-422")


async def test_zerobounce(client, sample):
    _, body, _ = await client.call("GET", f"/zerobounce/v2/validate?api_key=sandbox-a&email={DANA}&ip_address=")
    assert_shape(sample("zerobounce-validate-response"), body)


async def test_hubspot_batch_read(client, sample):
    made = await client.create("hubspot/contacts", person=0)
    wanted = {"properties": ["email", "firstname", "lastname"], "inputs": [{"id": made["id"]}]}
    status, body, _ = await client.call("POST", f"{CONTACTS}/batch/read", json=wanted)
    assert status == 200
    assert_shape(sample("hubspot-crm-batch-read-response"), body)


async def test_hubspot_sample_requests_are_understood(client, sample):
    made = await client.create("hubspot/contacts", person=0)
    read, update = sample("hubspot-crm-batch-read-request"), sample("hubspot-crm-batch-update-request")
    read["inputs"][0]["id"] = update["inputs"][0]["id"] = made["id"]
    status, body, _ = await client.call("POST", f"{CONTACTS}/batch/read", json=read)
    assert (status, body["numErrors"], len(body["results"])) == (207, 1, 1)
    assert body["errors"][0]["context"] == {"ids": [read["inputs"][1]["id"]]}
    assert set(read["properties"]) <= set(body["results"][0]["properties"])
    status, body, _ = await client.call("POST", f"{CONTACTS}/batch/update", json=update)
    assert (status, len(body["results"])) == (200, 1)


async def test_hubspot_throttled(client, sample, set_faults):
    set_faults("hubspot.*", throttle_rate=1)
    status, body, _ = await client.call("GET", f"{CONTACTS}/1")
    assert status == 429
    assert_shape(sample("hubspot-error-429"), body)


async def test_hubspot_unknown_property(client, sample):
    made = await client.create("hubspot/contacts", person=0)
    update = {"properties": {"missing": "x"}}
    status, body, _ = await client.call("PATCH", f"{CONTACTS}/{made['id']}", json=update)
    assert status == 400
    expected = sample("hubspot-error-validation")
    assert_shape(expected, body)
    assert body["errors"] == expected["errors"]


def test_hubspot_webhook(sample):
    event = contact_creation(332507000001, 77, 1790000001000)
    _, body = build_hubspot_delivery([event], "secret", "https://enrich.example.com/webhooks/hubspot", 1790000001500)
    assert_shape(sample("hubspot-webhook-contact-creation"), json.loads(body))


async def test_salesforce_token(client, sample):
    body = await client.login()
    assert_shape(sample("salesforce-oauth-token-response"), body)
    assert body["instance_url"] == f"{client.url}/salesforce"


async def test_salesforce_locked_row(client, sample, set_faults):
    set_faults("salesforce.lead_update", lock_rate=1)
    status, body, _ = await client.salesforce("PATCH", "sobjects/Lead/00Q5g0000000001EAA", json={"Title": "x"})
    assert status == 400
    assert_shape(sample("salesforce-rest-error"), body)
    assert body[0]["errorCode"] == "UNABLE_TO_LOCK_ROW"


async def test_salesforce_sample_update_is_understood(client, sample):
    made = await client.create("salesforce/leads", person=0)
    request = sample("salesforce-collections-update-request")
    request["records"][0]["id"] = made["id"]
    status, body, _ = await client.salesforce("PATCH", "composite/sobjects", json=request)
    assert (status, body) == (200, [{"id": made["id"], "success": True, "errors": []}])


async def test_salesforce_query_page(client, sample):
    await client.create("salesforce/leads", count=2001)
    status, body, _ = await client.soql("SELECT Id, Email, SystemModstamp FROM Lead")
    assert status == 200
    assert_shape(sample("salesforce-soql-query-response"), {**body, "records": body["records"][:2]})
    assert (body["totalSize"], len(body["records"]), body["done"]) == (2001, 2000, False)
    _, last, _ = await client.call(
        "GET", f"/salesforce{body['nextRecordsUrl']}", headers={"authorization": f"Bearer {client.token}"}
    )
    assert (last["done"], len(last["records"]), "nextRecordsUrl" in last) == (True, 1, False)


def test_salesforce_flow_callout(sample):
    headers, body = build_flow_delivery("00Q5g0000000001EAA", DANA, "Northwind Parts", 1790000001000, "shared")
    assert_shape(sample("salesforce-flow-http-callout"), json.loads(body))
    assert headers["X-Enrichment-Secret"] == "shared"


@pytest.mark.parametrize(
    ("sample_value", "actual", "fits"),
    [
        ({"a": 1}, {"a": 2.5}, True),
        ({"a": None}, {"a": {"b": 1}}, True),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": [{"b": 1}]}, {"a": []}, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"c": 1}]}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
    ],
)
def test_skeletons(sample_value, actual, fits):
    assert (differences(sample_value, actual) == []) is fits
