"""Hunter: finder, verifier, errors, verifications that take longer."""

import pytest
from sandbox_skeleton import assert_shape

FIND = "/hunter/v2/email-finder"
VERIFY = "/hunter/v2/email-verifier"
DANA = "dana.reyes@northwind-parts.com"
DANA_NAMES = {"domain": "northwind-parts.com", "first_name": "Dana", "last_name": "Reyes"}
ERROR = {"errors": [{"id": "wrong_params", "code": 400, "details": "You are missing the domain parameter"}]}


@pytest.fixture
def at_once(set_faults):
    set_faults("hunter.*", pending_rate=0)


async def test_the_finder_has_the_documented_shape(client, sample):
    status, body, _ = await client.call("GET", FIND, params=DANA_NAMES)
    assert status == 200
    expected = sample("hunter-email-finder-response")
    assert_shape(expected, body)
    assert body["data"] == {**expected["data"], "verification": body["data"]["verification"]}
    assert body["meta"] == expected["meta"]
    assert (await client.counters())["billed_subjects"] == {"hunter.email_finder": {DANA: 1}}


@pytest.mark.parametrize(
    "params",
    [
        {"company": "Northwind Parts", "first_name": "Dana", "last_name": "Reyes"},
        {"domain": "www.northwind-parts.com", "full_name": "Dana Reyes"},
    ],
)
async def test_the_finder_takes_a_company_or_a_full_name(client, params):
    assert (await client.call("GET", FIND, params=params))[1]["data"]["email"] == DANA


async def test_whom_hunter_does_not_find_is_404_and_free(client, sandbox):
    world = sandbox.world
    person = next(p for p in world.all_people if p.is_business and not world.coverage.hunter_finds(p))
    names = {"domain": person.domain, "first_name": person.first_name, "last_name": person.last_name}
    status, body, _ = await client.call("GET", FIND, params=names)
    assert (status, body["errors"][0]["id"]) == (404, "not_found")
    assert_shape(ERROR, body)
    assert (await client.counters())["billed_total"] == 0


@pytest.mark.parametrize("missing", ["domain", "first_name", "last_name"])
async def test_a_missing_parameter_is_named(client, missing):
    params = {name: value for name, value in DANA_NAMES.items() if name != missing}
    status, body, _ = await client.call("GET", FIND, params=params)
    assert (status, body["errors"][0]["id"], missing in body["errors"][0]["details"]) == (400, "wrong_params", True)
    assert_shape(ERROR, body)


async def test_the_verifier_has_the_documented_shape(client, sample, at_once):
    status, body, _ = await client.call("GET", VERIFY, params={"email": DANA})
    assert status == 200
    assert_shape(sample("hunter-email-verifier-response"), body)
    assert (body["data"]["status"], body["data"]["result"]) == ("valid", "deliverable")


@pytest.mark.parametrize(
    ("known_as", "status", "result"),
    [
        ("valid", "valid", "deliverable"),
        ("invalid", "invalid", "undeliverable"),
        ("catch-all", "accept_all", "risky"),
        ("unknown", "unknown", "risky"),
    ],
)
async def test_the_verifier_tells_the_state_of_an_address(client, sandbox, at_once, known_as, status, result):
    person = next(p for p in sandbox.world.all_people if p.is_business and p.email_status == known_as)
    _, body, _ = await client.call("GET", VERIFY, params={"email": person.email})
    assert (body["data"]["status"], body["data"]["result"]) == (status, result)
    assert body["data"]["accept_all"] is (status == "accept_all")
    assert (await client.counters())["billed_total"] == (0 if status == "unknown" else 1)


async def test_free_mail_and_addresses_outside_the_world(client, sandbox, at_once):
    free = next(p for p in sandbox.world.all_people if not p.is_business and p.email_status == "valid")
    for email, status in (
        (free.email, "webmail"), ("ghost@northwind-parts.com", "invalid"), ("ghost@elsewhere.com", "unknown"),
    ):  # fmt: skip
        _, body, _ = await client.call("GET", VERIFY, params={"email": email})
        assert (body["data"]["status"], body["data"]["webmail"]) == (status, status == "webmail")


@pytest.mark.parametrize(("email", "error_id"), [("", "wrong_params"), ("nobody", "invalid_email")])
async def test_the_verifier_refuses_what_is_no_address(client, at_once, email, error_id):
    status, body, _ = await client.call("GET", VERIFY, params={"email": email})
    assert (status, body["errors"][0]["id"]) == (400, error_id)
    assert_shape(ERROR, body)


async def test_some_verifications_take_a_second_call_and_are_charged_once(client):
    emails = [f"p{number}@northwind-parts.com" for number in range(200)]
    statuses = [[(await client.call("GET", VERIFY, params={"email": email}))[0] for _ in range(2)] for email in emails]
    first, second = zip(*statuses, strict=True)
    assert first.count(202) / 200 == pytest.approx(0.1, abs=0.07)
    assert set(second) == {200}
    billed = (await client.counters())["billed"]["hunter.email_verifier"]
    assert billed == first.count(200) + second.count(200)


@pytest.mark.parametrize(
    "place",
    [
        {"params": {"api_key": "sandbox-key"}},
        {"headers": {"x-api-key": "sandbox-key"}},
        {"headers": {"authorization": "Bearer sandbox-key"}},
    ],
)
async def test_the_key_may_stand_in_three_places(client, place):
    headers = {"x-api-key": "", "authorization": ""} | place.get("headers", {})
    params = DANA_NAMES | place.get("params", {})
    assert (await client.call("GET", FIND, params=params, headers=headers))[0] == 200


async def test_a_foreign_key_is_401(client):
    status, body, _ = await client.call("GET", FIND, params={**DANA_NAMES, "api_key": "foreign"})
    assert (status, body["errors"][0]["id"]) == (401, "authentication_failed")
    assert_shape(ERROR, body)


async def test_the_rate_limit_is_403_and_an_objection_451(client, set_faults):
    set_faults("hunter.*", throttle_rate=1)
    status, body, _ = await client.call("GET", FIND, params=DANA_NAMES)
    assert (status, body["errors"][0]["id"]) == (403, "too_many_requests")
    set_faults("hunter.*", error_rate=1, error_status=451)
    status, body, _ = await client.call("GET", FIND, params=DANA_NAMES)
    assert (status, body["errors"][0]["id"]) == (451, "claimed_email")
    assert_shape(ERROR, body)
