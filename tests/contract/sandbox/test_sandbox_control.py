"""The control endpoints and the sandbox as a process."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from enrichment_dagster.sandbox import SandboxConfig, running_sandbox


async def test_health(client):
    status, body, _ = await client.call("GET", "/_sandbox/health")
    assert (status, body["status"], body["people"], body["seed"]) == (200, "ok", 5000, 7)


async def test_records_are_created_from_people_and_properties(client, sandbox):
    person = sandbox.world.person(12)
    made = await client.create("hubspot/contacts", person=12)
    assert (made["email"], made["person"]) == (person.email, 12)
    _, record, _ = await client.call("GET", f"/_sandbox/crm/hubspot/records/{made['id']}")
    assert record["fields"] == {
        "email": person.email, "firstname": person.first_name, "lastname": person.last_name,
        "company": person.typed_company,
    }  # fmt: skip
    made = await client.create("salesforce/leads", properties={"Email": "a@b.com", "Company": "B"})
    assert (made["email"], made["company"], made["person"]) == ("a@b.com", "B", None)


async def test_bulk_creation_goes_on_where_it_stopped(client, sandbox):
    before = (await client.call("GET", "/_sandbox/crm/salesforce/records"))[1]["count"]
    first = (await client.create("salesforce/leads", count=3))["records"]
    second = (await client.create("salesforce/leads", count=2))["records"]
    people = [record["person"] for record in first + second]  # other tests may have created some before
    assert people == list(range(people[0], people[0] + 5))
    assert len({record["id"] for record in first + second}) == 5
    _, listed, _ = await client.call("GET", "/_sandbox/crm/salesforce/records")
    assert listed["count"] == before + 5


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"count": 0},
        {"count": "x"},
        {"person": "x"},
        {"properties": {"nope": 1}},
        {"properties": [1]},
        {"count": 10**9},
    ],
)
async def test_creation_refuses_nonsense(client, body):
    status, answer, _ = await client.call("POST", "/_sandbox/hubspot/contacts", json=body)
    assert (status, set(answer)) == (400, {"error"})


async def test_reset_in_part(client):
    made = await client.create("hubspot/contacts", person=0)
    url = f"/hubspot/crm/v3/objects/contacts/{made['id']}"
    await client.call("PATCH", url, json={"properties": {"city": "x"}})
    await client.call("POST", "/_sandbox/reset", json={"counters": True})
    assert (await client.counters())["total"] == 0
    assert len(await client.writes()) == 1
    await client.call("POST", "/_sandbox/reset", json={"crm": True})
    assert await client.writes() == []
    assert (await client.call("GET", url))[0] == 404
    assert (await client.create("hubspot/contacts", person=0))["id"] != made["id"]
    await client.call("POST", "/_sandbox/reset")
    assert (await client.counters())["total"] == 0


async def test_writes_can_be_read_from_a_sequence_number(client):
    made = await client.create("hubspot/contacts", person=0)
    for city in ("a", "b"):
        url = f"/hubspot/crm/v3/objects/contacts/{made['id']}"
        await client.call("PATCH", url, json={"properties": {"city": city}})
    _, body, _ = await client.call("GET", "/_sandbox/crm/writes?since=1")
    assert [(write["seq"], write["old"], write["new"]) for write in body["writes"]] == [(2, "a", "b")]


@pytest.mark.parametrize(
    "path", ["/_sandbox/nope", "/_sandbox/crm/oracle/records", "/_sandbox/crm/hubspot/records/1", "/nope", "/apollo/x"]
)
async def test_unknown_paths_are_404(client, path):
    assert (await client.call("GET", path))[0] == 404


async def test_large_bodies_arrive_whole(client):
    made = await client.create("hubspot/contacts", person=0)
    url = f"/hubspot/crm/v3/objects/contacts/{made['id']}"
    status, _, _ = await client.call(
        "PATCH", url, json={"properties": {"technologies": "x" * 65_000, "city": "y" * 65_000}}
    )
    assert status == 200


async def test_keys_can_be_listed(client):
    with running_sandbox(SandboxConfig(people=1, companies=1, api_keys=frozenset({"only-this"}))) as other:
        client.url = other.url
        for key, wanted in (("only-this", 200), ("sandbox-key", 401)):
            headers = {"x-api-key": key}
            body = {"email": "a@b.com"}
            assert (await client.call("POST", "/apollo/api/v1/people/match", json=body, headers=headers))[0] == wanted


def test_own_process_answers_and_ends_cleanly(tmp_path):
    plan = tmp_path / "faults.yaml"
    plan.write_text("endpoints: {'*': {latency: 0}, 'clearbit.*': {error_rate: 1}}\n", encoding="utf-8")
    command = [sys.executable, "-m", "enrichment_dagster.sandbox", "--port", "0", "--faults", str(plan), "--seed", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            url = re.fullmatch(r"sandbox ready at (http://127\.0\.0\.1:\d+)\n", line)[1]
            with urllib.request.urlopen(f"{url}/_sandbox/health") as answer:
                assert json.load(answer)["seed"] == 3
            with pytest.raises(urllib.error.HTTPError, match="503") as refused:
                urllib.request.urlopen(f"{url}/clearbit/v2/combined/find?email=a@b.com")
            refused.value.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_a_bad_plan_ends_with_a_message(tmp_path):
    plan = tmp_path / "faults.yaml"
    plan.write_text("endpoints: {nope: {}}\n", encoding="utf-8")
    command = [sys.executable, "-m", "enrichment_dagster.sandbox", "--port", "0", "--faults", str(plan)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "unknown endpoint 'nope'" in ended.stderr


def test_only_the_loopback_address_listens(sandbox):
    port = int(sandbox.url.rpartition(":")[2])
    with socket.socket() as other:
        other.settimeout(1)
        assert other.connect_ex(("127.0.0.2", port)) != 0
