"""ZeroBounce's batch: the objects of the single validation, and errors for all."""

import pytest
from sandbox_skeleton import assert_shape

BATCH = "/zerobounce/v2/validatebatch"
DANA = "dana.reyes@northwind-parts.com"


async def validate(client, emails, key="sandbox-z"):
    items = [{"email_address": email, "ip_address": ""} for email in emails]
    return await client.call("POST", BATCH, json={"api_key": key, "email_batch": items})


async def test_a_batch_holds_the_objects_of_a_single_validation(client, sample):
    status, body, _ = await validate(client, [DANA, "ghost@northwind-parts.com"])
    assert (status, set(body), body["errors"]) == (200, {"email_batch", "errors"}, [])
    assert_shape(sample("zerobounce-validate-response"), body["email_batch"][0])
    assert [(item["address"], item["status"]) for item in body["email_batch"]] == [
        (DANA, "valid"), ("ghost@northwind-parts.com", "invalid"),
    ]  # fmt: skip


async def test_an_unknown_is_free_in_a_batch_too(client):
    await validate(client, [DANA, "ghost@elsewhere-unknown.com"])
    assert (await client.counters())["billed_subjects"] == {"zerobounce.validate_batch": {DANA: 1}}


@pytest.mark.parametrize(
    ("emails", "key"), [([DANA], "foreign"), ([], "sandbox-z"), ([f"p{n}@x.com" for n in range(101)], "sandbox-z")]
)
async def test_a_refused_batch_is_200_with_an_error_for_all(client, emails, key):
    status, body, _ = await validate(client, emails, key)
    assert (status, body["email_batch"]) == (200, [])
    assert [set(error) for error in body["errors"]] == [{"error", "email_address"}]
    assert body["errors"][0]["email_address"] == "all"
