"""Apollo ten at a time: order, nulls, limits, what is charged."""

import pytest
from sandbox_skeleton import assert_shape, differences

MATCH = "/apollo/api/v1/people/bulk_match"
ENRICH = "/apollo/api/v1/organizations/bulk_enrich"
DANA = "dana.reyes@northwind-parts.com"


def known(world, count):
    return [person for person in world.all_people if person.apollo_knows][:count]


async def match(client, details, **more):
    return await client.call("POST", MATCH, json={"details": details}, **more)


async def test_the_documented_request_is_understood_and_people_have_their_usual_shape(client, sample):
    status, body, headers = await client.call("POST", MATCH, json=sample("apollo-bulk-match-request"))
    assert status == 200
    assert headers["x-rate-limit-minute"] == ""
    assert set(body) == {
        "status", "error_code", "error_message", "total_requested_enrichments", "unique_enriched_records",
        "missing_records", "credits_consumed", "matches",
    }  # fmt: skip
    (dana,) = [person for person in body["matches"] if person]
    assert_shape(sample("apollo-people-match-response")["person"], dana)
    assert (body["total_requested_enrichments"], body["missing_records"], body["credits_consumed"]) == (2, 1, 1)


async def test_matches_stand_in_another_order_that_is_always_the_same(client, sandbox):
    people = known(sandbox.world, 8)
    details = [{"email": person.email} for person in people]
    first, again = [(await match(client, details))[1]["matches"] for _ in range(2)]
    emails = [person["email"] for person in first]
    assert first == again
    assert emails != [person.email for person in people]
    assert sorted(emails) == sorted(person.email for person in people)


async def test_unknown_people_are_null_and_the_status_is_success_all_the_same(client, sandbox):
    unknown = [person for person in sandbox.world.all_people if not person.apollo_knows][:3]
    _, body, _ = await match(client, [{"email": person.email} for person in unknown])
    assert (body["status"], body["matches"]) == ("success", [None] * 3)
    assert (body["missing_records"], body["unique_enriched_records"], body["credits_consumed"]) == (3, 0, 0)
    assert (await client.counters())["billed_total"] == 0


async def test_people_are_found_by_apollo_id_and_by_name(client, sandbox):
    one, other = known(sandbox.world, 2)
    names = {"first_name": other.first_name, "last_name": other.last_name, "domain": other.domain}
    _, body, _ = await match(client, [{"id": one.key}, names])
    assert {person["id"] for person in body["matches"]} == {one.key, other.key}


async def test_who_is_asked_for_twice_is_charged_once(client):
    _, body, _ = await match(
        client, [{"email": DANA}, {"first_name": "Dana", "last_name": "Reyes", "domain": DANA[11:]}]
    )
    assert (len(body["matches"]), body["unique_enriched_records"]) == (2, 1)
    assert (await client.counters())["billed_subjects"]["apollo.people_bulk_match"] == {DANA: 1}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MATCH, {"details": [{"email": f"p{number}@x.com"} for number in range(11)]}),
        (ENRICH, {"domains": [f"{number}.com" for number in range(11)]}),
    ],
)
async def test_more_than_ten_are_refused(client, sample, path, body):
    status, answer, _ = await client.call("POST", path, json=body)
    assert status == 400
    assert_shape(sample("apollo-bulk-match-error-limit"), answer)
    assert answer == sample("apollo-bulk-match-error-limit")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MATCH, {}),
        (MATCH, {"details": "x"}),
        (MATCH, {"details": [{"email": DANA}], "reveal_phone_number": True}),
        (ENRICH, {}),
    ],
)
async def test_a_bulk_request_without_sense_is_422(client, path, body):
    status, answer, _ = await client.call("POST", path, json=body)
    assert (status, set(answer)) == (422, {"error"})


async def test_organizations_have_the_documented_shape(client, sample):
    _, body, _ = await client.call("POST", ENRICH, json={"domains": ["northwind-parts.com", "nowhere.example"]})
    expected = sample("apollo-organization-bulk-enrich-response")
    assert_shape(expected, body)
    names = ("total_requested_domains", "unique_domains", "unique_enriched_records", "missing_records")
    assert {name: body[name] for name in names} == {name: expected[name] for name in names}


async def test_domains_come_in_the_query_as_well(client, sample):
    params = [("domains[]", "northwind-parts.com"), ("domains[]", "www.northwind-parts.com")]
    _, body, _ = await client.call("POST", ENRICH, params=params)
    assert differences(sample("apollo-organization-bulk-enrich-response"), body) == []
    assert (body["total_requested_domains"], body["unique_domains"], body["missing_records"]) == (2, 1, 0)
    assert (await client.counters())["billed_subjects"]["apollo.organization_bulk_enrich"] == {"northwind-parts.com": 1}


@pytest.mark.parametrize("path", [MATCH, ENRICH])
async def test_a_foreign_key_is_refused_in_plain_text(client, path):
    status, body, headers = await client.call("POST", path, json={}, headers={"x-api-key": "foreign"})
    assert (status, type(body)) == (401, str)
    assert headers["content-type"].startswith("text/plain")
