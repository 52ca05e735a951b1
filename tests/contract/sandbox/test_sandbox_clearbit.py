"""Clearbit's person and company look-ups, and answers that are not ready yet."""

import pytest
from sandbox_skeleton import assert_shape, differences

PERSON = "/clearbit/v2/people/find"
COMPANY = "/clearbit/v2/companies/find"
COMBINED = "/clearbit/v2/combined/find"
DANA = "dana.reyes@northwind-parts.com"
CALLS = [f"{PERSON}?email={DANA}", f"{COMPANY}?domain=northwind-parts.com", f"{COMBINED}?email={DANA}"]


async def test_rate_headers_tell_of_the_limit_that_a_plan_sets(client, set_faults):
    set_faults("clearbit.*", rate_limit=600, rate_window_seconds=60)
    key = {"authorization": "Bearer sandbox-rate"}
    _, _, headers = await client.call("GET", CALLS[0], headers=key)
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("600", "599")
    assert 0 <= int(headers["x-ratelimit-reset"]) <= 60


async def test_a_person_alone_is_the_person_of_combined(client, sample):
    status, body, headers = await client.call("GET", CALLS[0])
    assert (status, "x-ratelimit-limit" in headers) == (200, False)
    assert_shape(sample("clearbit-combined-response")["person"], body)
    _, combined, _ = await client.call("GET", CALLS[2])
    assert body == combined["person"]


async def test_a_company_alone_is_the_company_of_combined(client, sample):
    status, body, _ = await client.call("GET", CALLS[1])
    assert status == 200
    assert_shape(sample("clearbit-combined-response")["company"], body)
    _, combined, _ = await client.call("GET", CALLS[2])
    assert body == combined["company"]


async def test_the_body_of_a_clearbit_webhook_is_that_of_combined(client, sample):
    _, combined, _ = await client.call("GET", CALLS[2])
    assert differences(sample("clearbit-async-webhook")["body"], combined) == []


async def test_who_is_not_known_is_404_and_free(client, sandbox):
    person = next(p for p in sandbox.world.all_people if not p.clearbit_knows)
    company = next(c for c in sandbox.world.all_companies if not c.clearbit_knows)
    for path in (f"{PERSON}?email={person.email}", f"{COMPANY}?domain={company.domain}"):
        status, body, _ = await client.call("GET", path)
        assert (status, body["error"]["type"]) == (404, "unknown_record")
    assert (await client.counters())["billed_total"] == 0


@pytest.mark.parametrize(
    ("path", "kind"), [(f"{PERSON}?email=nobody", "email_invalid"), (f"{COMPANY}?domain=x", "domain_invalid")]
)
async def test_nonsense_is_422(client, sample, path, kind):
    status, body, _ = await client.call("GET", path)
    assert (status, body["error"]["type"]) == (422, kind)
    assert_shape(sample("clearbit-error-422"), body)


@pytest.mark.parametrize("path", CALLS)
async def test_a_foreign_key_is_401(client, path):
    status, body, _ = await client.call("GET", path, headers={"authorization": "Bearer foreign"})
    assert (status, body["error"]["type"]) == (401, "auth_invalid")


@pytest.mark.parametrize("path", CALLS)
async def test_a_pending_look_up_is_202_without_a_body_and_charged_when_it_is_there(client, set_faults, path):
    set_faults("clearbit.*", pending_rate=1, pending_polls=2)
    answers = [(await client.call("GET", path))[:2] for _ in range(3)]
    assert [status for status, _ in answers] == [202, 202, 200]
    assert answers[0][1] == ""
    assert (await client.counters())["billed_total"] == 1


async def test_a_miss_may_be_pending_first_and_a_refusal_never(client, set_faults):
    set_faults("clearbit.*", pending_rate=1)
    assert [(await client.call("GET", f"{PERSON}?email=ghost@x.com"))[0] for _ in range(2)] == [202, 404]
    assert (await client.call("GET", f"{PERSON}?email=nobody"))[0] == 422


async def test_a_share_of_subjects_is_pending(client, set_faults):
    set_faults("clearbit.person_find", pending_rate=0.3)
    statuses = [(await client.call("GET", f"{PERSON}?email=p{number}@x.com"))[0] for number in range(200)]
    assert statuses.count(202) / 200 == pytest.approx(0.3, abs=0.1)
