"""Clay: rows go in, filled rows come back, and a webhook's life ends silently."""

import pytest

HOOK = "/clay/v1/webhook"
TOKEN = {"x-clay-webhook-auth": "sandbox-clay"}
DANA = "dana.reyes@northwind-parts.com"


async def send(client, table, row, headers=TOKEN):
    return await client.call("POST", f"{HOOK}/{table}", json=row, headers=headers)


async def tables(client):
    return (await client.call("GET", "/_sandbox/clay/tables"))[1]


async def test_the_documented_row_is_taken(client, sample):
    status, _, _ = await send(client, "documented", sample("clay-webhook-row"))
    assert status == 200
    assert (await tables(client))["documented"] == {"taken": 1, "dropped": 0}


async def test_a_filled_row_comes_back_flat_with_its_source_and_token(quick_client, receiver, sample):
    row = {**sample("clay-webhook-row"), "callback_url": receiver.url}
    await send(quick_client, "back", row)
    headers, filled = await receiver.next()
    assert headers["x-clay-webhook-auth"] == "sandbox-clay"
    assert {name: filled[name] for name in sample("clay-webhook-row")} == sample("clay-webhook-row")
    assert not any(isinstance(value, dict | list) for value in filled.values())
    expected = {"title": "VP Operations", "seniority": "vp", "employees": 640, "industry": "industrial automation"}
    assert {name: filled[name] for name in expected} == expected
    assert (await receiver.next())[1] == filled  # It may come twice.


async def test_whom_clay_does_not_know_comes_back_empty(quick_client, quick_sandbox, receiver):
    world = quick_sandbox.world
    person = next(p for p in world.all_people if not world.coverage.clay_knows(p))
    await send(quick_client, "empty", {"email": person.email, "source_id": "7", "callback_url": receiver.url})
    _, filled = await receiver.next()
    assert (filled["source_id"], filled["title"], filled["employees"]) == ("7", None, None)
    assert (await receiver.next())[1] == filled


async def test_beyond_its_life_a_webhook_drops_rows_and_says_nothing(quick_client, receiver):
    row = {"email": DANA, "callback_url": receiver.url}
    statuses = [(await send(quick_client, "old", row))[0] for _ in range(5)]
    assert statuses == [200] * 5
    assert (await tables(quick_client))["old"] == {"taken": 3, "dropped": 2}
    for _ in range(6):  # Three rows, each delivered twice.
        await receiver.next()
    await quick_client.counted("callbacks", {"clay.row": {"delivered": 6}})
    await quick_client.call("POST", "/_sandbox/reset")
    assert (await tables(quick_client))["old"]["taken"] == 3


@pytest.mark.parametrize(
    ("row", "headers", "status"),
    [
        ({"email": DANA}, {"x-clay-webhook-auth": "foreign"}, 401),
        ({"email": DANA}, {}, 401),
        ([{"email": DANA}], TOKEN, 400),
        ({"email": DANA, "more": {"a": 1}}, TOKEN, 400),
        ({"email": "x" * 100_000}, TOKEN, 413),
    ],
)
async def test_what_is_no_row_is_refused_and_not_counted(client, row, headers, status):
    assert (await send(client, f"refused-{status}", row, headers))[0] == status
    assert f"refused-{status}" not in await tables(client)
