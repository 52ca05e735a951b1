"""HubSpot tells of each write: signed webhooks, one event for each property that has changed."""

import pytest

from enrichment_dagster.sandbox.signing import hubspot_signature_v3

CONTACTS = "/hubspot/crm/v3/objects/contacts"
SECRET = "test-client-secret-0001"


@pytest.fixture
async def told(client, receiver):
    """Webhooks go to the receiver until the end of the test."""

    async def begin(**more):
        status, answer, _ = await client.call(
            "PUT", "/_sandbox/hubspot/echo", json={"url": receiver.url, "secret": SECRET, **more}
        )
        assert (status, answer) == (200, {"echo": receiver.url})

    yield begin
    await client.call("PUT", "/_sandbox/hubspot/echo", json={})


async def test_a_write_comes_back_as_signed_events(client, receiver, told):
    await told(app_id="54321", signed_url="https://enrich.example.com/webhooks/hubspot")
    made = await client.create("hubspot/contacts", person=0, properties={"city": "Bonn"})
    changes = {"jobtitle": "CTO", "city": "Bonn", "phone": None}
    await client.call("PATCH", f"{CONTACTS}/{made['id']}", json={"properties": changes})
    headers, events = await receiver.next()
    (event, _) = sorted(events, key=lambda event: event["propertyName"])
    assert [event["subscriptionType"] for event in events] == ["contact.propertyChange"] * 2, "the city is as it was"
    assert (event["objectId"], event["propertyName"], event["propertyValue"]) == (int(made["id"]), "jobtitle", "CTO")
    assert (event["changeSource"], event["sourceId"]) == ("INTEGRATION", "54321")
    assert len({event["eventId"] for event in events}) == 2
    url, timestamp = "https://enrich.example.com/webhooks/hubspot", headers["X-HubSpot-Request-Timestamp"]
    expected = hubspot_signature_v3(SECRET, "POST", url, receiver.body, timestamp)
    assert headers["X-HubSpot-Signature-v3"] == expected


async def test_a_hundred_records_come_back_in_batches_of_a_hundred_events(client, receiver, told):
    await told()
    ids = [record["id"] for record in (await client.create("hubspot/contacts", count=100))["records"]]
    inputs = [{"id": one, "properties": {"jobtitle": "CTO", "city": "Bonn"}} for one in ids]
    await client.call("POST", f"{CONTACTS}/batch/update", json={"inputs": inputs})
    batches = [(await receiver.next())[1] for _ in range(2)]
    assert [len(batch) for batch in batches] == [100, 100]
    assert {str(event["objectId"]) for batch in batches for event in batch} == set(ids)
    assert all("sourceId" not in event for batch in batches for event in batch)
    await client.counted("callbacks", {"hubspot.webhook": {"delivered": 2}})


async def test_an_association_comes_back_once_for_each_side_and_type(client, receiver, told, sandbox):
    made = await client.create("hubspot/contacts", person=0, associate=True)
    old, new = made["company_id"], sandbox.state.accounts.companies["hubspot", 5]
    await told()
    of_contact = f"{CONTACTS}/{made['id']}/associations"
    await client.call("PUT", f"{of_contact.replace('v3', 'v4')}/default/companies/{new}")
    _, plain = await receiver.next()
    await client.call("PUT", f"{of_contact.replace('v3', 'v4')}/companies/{new}", json=[{"associationTypeId": 1}])
    _, primary = await receiver.next()

    def sides(company):
        return {("CONTACT_TO_COMPANY", int(made["id"]), company), ("COMPANY_TO_CONTACT", company, int(made["id"]))}

    def told_of(events, **of):
        wanted = [event for event in events if of.items() <= event.items()]
        return {(event["associationType"], event["fromObjectId"], event["toObjectId"]) for event in wanted}

    assert len(plain) == 2
    assert told_of(plain, associationRemoved=False, isPrimaryAssociation=False) == sides(int(new))
    assert len(primary) == 4
    assert told_of(primary, associationRemoved=True, isPrimaryAssociation=True) == sides(int(old))
    assert told_of(primary, associationRemoved=False, isPrimaryAssociation=True) == sides(int(new))


async def test_without_a_target_nothing_is_told(client, receiver, told):
    await told()
    await client.call("PUT", "/_sandbox/hubspot/echo", json={})
    made = await client.create("hubspot/contacts", person=0)
    await client.call("PATCH", f"{CONTACTS}/{made['id']}", json={"properties": {"jobtitle": "CTO"}})
    assert (await client.counters())["callbacks"] == {}


@pytest.mark.parametrize(
    "body",
    [
        {"url": "https://example.com/webhooks", "secret": "x"},
        {"url": "http://127.0.0.1:1/"},
        {"url": "http://127.0.0.1:1/", "secret": 7},
        {"url": "http://127.0.0.1:1/", "secret": "x", "nope": ""},
    ],
)
async def test_a_target_that_makes_no_sense_is_refused(client, body):
    status, answer, _ = await client.call("PUT", "/_sandbox/hubspot/echo", json=body)
    assert (status, set(answer)) == (400, {"error"})
