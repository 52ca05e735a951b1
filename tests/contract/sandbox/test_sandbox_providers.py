"""The vendors' emulators tell the truth of the world, miss as documented and refuse as documented."""

import base64

import pytest

MATCH = "/apollo/api/v1/people/match"
FIND = "/clearbit/v2/combined/find"
VALIDATE = "/zerobounce/v2/validate"


def someone(world, test):
    return next(person for person in world.all_people[1:] if person.is_business and test(person))


async def test_apollo_miss_is_200_with_null(client, sandbox):
    person = someone(sandbox.world, lambda p: not p.apollo_knows)
    status, body, _ = await client.call("POST", MATCH, json={"email": person.email})
    assert (status, body["person"]) == (200, None)
    assert (await client.counters())["billed_total"] == 0


async def test_apollo_hit_by_query_parameters_and_by_name(client, sandbox):
    person = someone(sandbox.world, lambda p: p.apollo and p.apollo.title)
    _, by_email, _ = await client.call("POST", MATCH, params={"email": person.email.upper()})
    names = {"first_name": person.first_name, "last_name": person.last_name, "domain": person.domain}
    _, by_name, _ = await client.call("POST", MATCH, json=names)
    assert by_email["person"]["title"] == by_name["person"]["title"] == person.apollo.title
    assert "phone" not in by_email["person"]


async def test_apollo_organization_null_for_unknown(client, sandbox):
    company = next(company for company in sandbox.world.all_companies if not company.apollo_knows)
    status, body, _ = await client.call("GET", f"/apollo/api/v1/organizations/enrich?domain={company.domain}")
    assert (status, body) == (200, {"organization": None})


@pytest.mark.parametrize("key", ["", "wrong"])
async def test_apollo_bad_key_is_plain_text(client, key):
    status, body, headers = await client.call("POST", MATCH, json={"email": "a@b.com"}, headers={"x-api-key": key})
    assert (status, type(body)) == (401, str)
    assert headers["content-type"].startswith("text/plain")
    assert "x-rate-limit-minute" not in headers


async def test_apollo_without_input_is_422(client):
    status, body, _ = await client.call("POST", MATCH, json={})
    assert status == 422
    assert set(body) == {"error"}


async def test_apollo_rate_headers_are_empty_without_a_limit(client):
    _, _, headers = await client.call("POST", MATCH, json={"email": "a@b.com"})
    windows = ("minute", "hourly", "24-hour")
    assert {headers[f"x-rate-limit-{window}"] for window in windows} == {""}
    assert {headers[f"x-{window}-requests-left"] for window in windows} == {""}


async def test_apollo_rate_headers_tell_of_the_limit_that_a_plan_sets(client, set_faults):
    set_faults("apollo.*", rate_limit=1000, rate_window_seconds=60)
    _, _, first = await client.call("POST", MATCH, json={"email": "a@b.com"}, headers={"x-api-key": "sandbox-rate"})
    assert first["x-rate-limit-minute"] == "1000"
    assert int(first["x-minute-usage"]) + int(first["x-minute-requests-left"]) == 1000
    assert first["x-rate-limit-hourly"] == ""


async def test_clearbit_halves_are_independent(client, sandbox):
    world = sandbox.world
    only_person = someone(world, lambda p: p.clearbit_knows and not p.company.clearbit_knows)
    only_company = someone(world, lambda p: not p.clearbit_knows and p.company.clearbit_knows)
    neither = someone(world, lambda p: not p.clearbit_knows and not p.company.clearbit_knows)
    _, body, _ = await client.call("GET", f"{FIND}?email={only_person.email}")
    assert (body["person"]["email"], body["company"]) == (only_person.email, None)
    _, body, _ = await client.call("GET", f"{FIND}?email={only_company.email}")
    assert (body["person"], body["company"]["domain"]) == (None, only_company.domain)
    status, body, _ = await client.call("GET", f"{FIND}?email={neither.email}")
    assert (status, set(body["error"])) == (404, {"type", "message"})
    assert (await client.counters())["billed"] == {"clearbit.combined_find": 2}


async def test_clearbit_authorization(client):
    basic = "Basic " + base64.b64encode(b"sandbox-key:").decode()
    url = f"{FIND}?email=dana.reyes@northwind-parts.com"
    assert (await client.call("GET", url, headers={"authorization": basic}))[0] == 200
    for bad in ("", "Bearer wrong", "Basic !!!", "Basic " + base64.b64encode(b"\xff").decode()):
        status, body, _ = await client.call("GET", url, headers={"authorization": bad})
        assert (status, body["error"]["type"]) == (401, "auth_invalid")


async def test_zerobounce_tells_each_status(client, sandbox):
    for wanted in ("valid", "invalid", "catch-all", "unknown", "do_not_mail"):
        person = someone(sandbox.world, lambda p, wanted=wanted: p.email_status == wanted)
        params = {"api_key": "sandbox-z", "email": person.email, "ip_address": ""}
        _, body, _ = await client.call("GET", VALIDATE, params=params)
        assert (body["status"], body["sub_status"]) == (wanted, person.email_sub_status)
    assert (await client.counters())["billed_total"] == 4  # An unknown is free.


@pytest.mark.parametrize(
    ("email", "status", "sub_status"),
    [
        ("ghost@northwind-parts.com", "invalid", "mailbox_not_found"),
        ("ghost@elsewhere-unknown.com", "unknown", "mail_server_did_not_respond"),
        ("no address", "invalid", "failed_syntax_check"),
    ],
)
async def test_zerobounce_outside_the_world(client, email, status, sub_status):
    _, body, _ = await client.call("GET", VALIDATE, params={"api_key": "sandbox-z", "email": email})
    assert (body["status"], body["sub_status"]) == (status, sub_status)


async def test_zerobounce_bad_key_is_200_with_error(client):
    status, body, _ = await client.call("GET", VALIDATE, params={"api_key": "x", "email": "a@b.com"})
    assert (status, set(body)) == (200, {"error"})


async def test_counters_show_repeats_and_hide_foreign_keys(client):
    for _ in range(2):
        await client.call("POST", MATCH, json={"email": "Dana.Reyes@northwind-parts.com"})
    await client.call("POST", MATCH, json={"email": "x@y.com"}, headers={"x-api-key": "a-real-key"})
    counters = await client.counters()
    assert counters["billed_subjects"] == {"apollo.people_match": {"dana.reyes@northwind-parts.com": 2}}
    assert counters["subjects"]["apollo.people_match"] == {"dana.reyes@northwind-parts.com": 2, "x@y.com": 1}
    assert counters["keys"]["apollo.people_match"] == {"sandbox-key": 2, "(rejected)": 1}
    assert counters["statuses"]["apollo.people_match"] == {"200": 2, "401": 1}
    assert (counters["total"], counters["billed_total"]) == (3, 2)
