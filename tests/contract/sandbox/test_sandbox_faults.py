"""Fault plans: rates, reproducibility, what each kind of fault does on the wire."""

import asyncio
import statistics
from time import perf_counter

import aiohttp
import pytest

from enrichment_dagster.sandbox import FaultPlan, load_plan, parse_plan
from enrichment_dagster.sandbox.faults import ENDPOINTS, FaultPlanError

DANA = "dana.reyes@northwind-parts.com"
CONTACTS = "/hubspot/crm/v3/objects/contacts"
FIND = f"/clearbit/v2/combined/find?email={DANA}"


def kinds(plan, endpoint="apollo.people_match", calls=8000):
    return [plan.decide(endpoint, f"p{number}@x.com", 1).kind for number in range(calls)]


def test_rates_are_kept_and_exclusive():
    rates = {
        "error_rate": 0.1,
        "throttle_rate": 0.05,
        "hang_rate": 0.02,
        "malformed_rate": 0.03,
        "wrong_type_rate": 0.04,
    }
    found = kinds(parse_plan({"seed": 3, "endpoints": {"apollo.people_match": rates}}))
    for name, rate in rates.items():
        assert found.count(name.removesuffix("_rate")) / len(found) == pytest.approx(rate, abs=0.012)
    assert found.count(None) / len(found) == pytest.approx(1 - sum(rates.values()), abs=0.02)


def test_a_run_is_reproducible():
    plan = {"seed": 3, "endpoints": {"*": {"error_rate": 0.5}}}
    assert kinds(parse_plan(plan)) == kinds(parse_plan(plan))
    assert kinds(parse_plan(plan)) != kinds(parse_plan(plan | {"seed": 4}))
    assert kinds(parse_plan(plan)) != kinds(parse_plan(plan), "clearbit.combined_find")


def test_a_repeated_call_may_end_otherwise():
    plan = parse_plan({"endpoints": {"*": {"error_rate": 0.5}}})
    assert {plan.decide("apollo.people_match", DANA, nth).kind for nth in range(30)} == {None, "error"}


def test_latency_passes_through_both_points():
    plan = parse_plan({"endpoints": {"*": {"latency": {"p50_ms": 100, "p95_ms": 400}}}})
    delays = [plan.decide("zerobounce.validate", str(number), 1).delay_seconds for number in range(8000)]
    cuts = statistics.quantiles(delays, n=20)
    assert cuts[9] == pytest.approx(0.1, rel=0.08)
    assert cuts[18] == pytest.approx(0.4, rel=0.08)


def test_exact_entries_override_field_by_field():
    plan = parse_plan({
        "endpoints": {
            "apollo.people_match": {"error_rate": 0.3},
            "apollo.*": {"latency": 80, "error_rate": 0.2},
            "*": {"latency": 20, "throttle_rate": 0.1},
        }
    })  # fmt: skip
    match, organization = (plan.behaviour(name) for name in ("apollo.people_match", "apollo.organization_enrich"))
    assert (match.error_rate, match.latency.p50_ms, match.throttle_rate) == (0.3, 80, 0.1)
    assert organization.error_rate == 0.2
    assert plan.behaviour("clearbit.combined_find").latency.p50_ms == 20
    assert all(FaultPlan().behaviour(name).latency.p50_ms == 50 for name in ENDPOINTS)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"endpoint": {}},
        {"seed": "x"},
        {"endpoints": []},
        {"endpoints": {"apollo.nothing": {}}},
        {"endpoints": {"*": 5}},
        {"endpoints": {"*": {"eror_rate": 1}}},
        {"endpoints": {"*": {"error_rate": "often"}}},
        {"endpoints": {"*": {"error_rate": True}}},
        {"endpoints": {"*": {"error_rate": -0.1}}},
        {"endpoints": {"*": {"error_rate": 0.6, "hang_rate": 0.6}}},
        {"endpoints": {"*": {"pending_rate": 1.5}}},
        {"endpoints": {"*": {"latency": -1}}},
        {"endpoints": {"*": {"latency": {"p50_ms": 100}}}},
        {"endpoints": {"*": {"latency": {"p50_ms": 100, "p95_ms": 50}}}},
        {"endpoints": {"*": {"latency": {"p50_ms": 0, "p95_ms": 50}}}},
    ],
)
def test_bad_plans_are_refused(data):
    with pytest.raises(FaultPlanError):
        parse_plan(data)


def test_plans_load_from_yaml(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text("seed: 5\nendpoints:\n  '*': {latency: 0}\n  hubspot.*: {throttle_rate: 0.5}\n", encoding="utf-8")
    plan = load_plan(path)
    assert (plan.seed, plan.behaviour("hubspot.batch_read").throttle_rate) == (5, 0.5)
    assert parse_plan(plan.as_data()) == plan


async def test_replaced_at_run_time(client):
    plan = {"seed": 1, "endpoints": {"*": {"latency": 0}, "clearbit.*": {"error_rate": 1, "error_status": 500}}}
    assert (await client.call("PUT", "/_sandbox/faults", json=plan))[:2] == (200, plan)
    assert (await client.call("GET", "/_sandbox/faults"))[1] == plan
    assert (await client.call("GET", FIND))[0] == 500
    status, body, _ = await client.call("PUT", "/_sandbox/faults", json={"endpoints": {"nope": {}}})
    assert (status, set(body)) == (400, {"error"})
    assert (await client.call("GET", "/_sandbox/faults"))[1] == plan


async def test_rates_over_http(client, set_faults):
    set_faults("clearbit.combined_find", error_rate=0.3, throttle_rate=0.2)
    for number in range(400):
        await client.call("GET", f"/clearbit/v2/combined/find?email=p{number}@elsewhere.com")
    counters = await client.counters()
    assert counters["faults"]["clearbit.combined_find"]["error"] / 400 == pytest.approx(0.3, abs=0.08)
    assert counters["statuses"]["clearbit.combined_find"]["429"] / 400 == pytest.approx(0.2, abs=0.08)


@pytest.mark.parametrize("kind", ["error", "throttle"])
async def test_refusals_are_not_billed_and_write_nothing(client, set_faults, kind):
    made = await client.create("hubspot/contacts", person=0)
    set_faults("*", **{"latency": 0, f"{kind}_rate": 1})
    for method, path, body in calls(made["id"]):
        status, _, _ = await client.call(method, path, json=body)
        throttled = 403 if "salesforce" in path or "hunter" in path else 429
        assert status == (503 if kind == "error" else throttled), path
    assert (await client.counters())["billed_total"] == 0
    assert await client.writes() == []


def object_calls(base):
    return [
        ("GET", f"{base}/1", None),
        ("PATCH", f"{base}/1", {"properties": {}}),
        ("POST", f"{base}/batch/read", {"inputs": [{"id": "1"}]}),
        ("POST", f"{base}/batch/update", {"inputs": [{"id": "1", "properties": {}}]}),
        ("POST", f"{base}/search", {}),
    ]


def association_calls(base, kind):
    of_record = f"{base}/objects/{kind}/1/associations"
    return [
        ("GET", f"{of_record}/companies", None),
        ("PUT", f"{of_record}/default/companies/2", None),
        ("PUT", f"{of_record}/companies/2", [{"associationTypeId": 1}]),
        ("POST", f"{base}/associations/{kind}/companies/batch/read", {"inputs": [{"id": "1"}]}),
    ]


def calls(contact_id):
    return [
        ("POST", "/apollo/api/v1/people/match", {"email": DANA}),
        ("GET", "/apollo/api/v1/organizations/enrich?domain=northwind-parts.com", None),
        ("POST", "/apollo/api/v1/people/bulk_match", {"details": [{"email": DANA}]}),
        ("POST", "/apollo/api/v1/organizations/bulk_enrich", {"domains": ["northwind-parts.com"]}),
        ("POST", "/apollo/api/v1/mixed_people/api_search", {}),
        ("POST", "/apollo/api/v1/news_articles/search", {"organization_ids": ["x"]}),
        ("GET", "/apollo/api/v1/webhook_result/1", None),
        ("POST", "/apollo/api/v1/usage_stats/credit_usage_stats", None),
        ("GET", FIND, None),
        ("GET", f"/clearbit/v2/people/find?email={DANA}", None),
        ("GET", "/clearbit/v2/companies/find?domain=northwind-parts.com", None),
        ("GET", f"/people_data_labs/v5/person/enrich?email={DANA}", None),
        ("POST", "/people_data_labs/v5/person/bulk", {"requests": [{"params": {"email": DANA}}]}),
        ("GET", "/people_data_labs/v5/company/enrich?website=northwind-parts.com", None),
        ("GET", "/hunter/v2/email-finder?domain=northwind-parts.com&first_name=Dana&last_name=Reyes", None),
        ("GET", f"/hunter/v2/email-verifier?email={DANA}", None),
        ("GET", f"/zerobounce/v2/validate?api_key=sandbox-a&email={DANA}", None),
        ("POST", "/zerobounce/v2/validatebatch", {"api_key": "sandbox-a", "email_batch": [{"email_address": DANA}]}),
        ("POST", "/openai/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "{}"}]}),
        ("POST", "/clay/v1/webhook/leads", {"email": DANA}),
        ("GET", "/competitors/v1/companies/northwind-parts.com/competitors", None),
        ("GET", f"{CONTACTS}/{contact_id}", None),
        ("PATCH", f"{CONTACTS}/{contact_id}", {"properties": {"city": "x"}}),
        ("POST", f"{CONTACTS}/batch/read", {"inputs": [{"id": contact_id}]}),
        ("POST", f"{CONTACTS}/batch/update", {"inputs": [{"id": contact_id, "properties": {"city": "x"}}]}),
        ("POST", f"{CONTACTS}/search", {}),
        *(call for kind in ("companies", "deals") for call in object_calls(f"/hubspot/crm/v3/objects/{kind}")),
        *(call for kind in ("contacts", "deals") for call in association_calls("/hubspot/crm/v4", kind)),
        ("POST", "/salesforce/services/oauth2/token", None),
        *(
            ("PATCH", f"/salesforce/services/data/v62.0/sobjects/{kind}/0015g0000000001AAA", {"Description": "x"})
            for kind in ("Lead", "Contact", "Account", "Opportunity")
        ),
        ("PATCH", "/salesforce/services/data/v62.0/composite/sobjects", {"records": []}),
        ("GET", "/salesforce/services/data/v62.0/query?q=SELECT+Id+FROM+Lead", None),
    ]


def test_every_endpoint_is_tried_above():
    assert len(calls("1")) == len(ENDPOINTS)


async def test_an_answer_that_is_no_json_is_not_retyped(client, set_faults):
    set_faults("apollo.people_match", wrong_type_rate=1)
    call = client.call("POST", "/apollo/api/v1/people/match", json={"email": DANA}, headers={"x-api-key": "foreign"})
    assert (await call)[0] == 401


async def test_spoilt_answers_are_billed(client, set_faults):
    set_faults("clearbit.combined_find", malformed_rate=1)
    status, body, _ = await client.call("GET", FIND)
    assert (status, type(body)) == (200, str)  # No JSON.
    set_faults("clearbit.combined_find", wrong_type_rate=1)
    _, body, _ = await client.call("GET", FIND)
    assert type(body["person"]["employment"]["title"]) is int
    assert body["company"]["metrics"]["employees"] == "640"
    set_faults("clearbit.combined_find", huge_body_rate=1, huge_body_bytes=300_000)
    _, body, headers = await client.call("GET", FIND)
    assert int(headers["content-length"]) == 300_000
    assert body["person"]["email"] == DANA
    assert (await client.counters())["billed_subjects"]["clearbit.combined_find"] == {DANA: 3}


async def test_a_hanging_write_has_happened(client, set_faults):
    made = await client.create("hubspot/contacts", person=0)
    set_faults("hubspot.contact_update", hang_rate=1, hang_seconds=0.4)
    timeout = aiohttp.ClientTimeout(total=0.15)
    with pytest.raises(TimeoutError):
        await client.call("PATCH", f"{CONTACTS}/{made['id']}", json={"properties": {"city": "x"}}, timeout=timeout)
    assert [write["new"] for write in await client.writes()] == ["x"]


async def test_a_locked_collection_fails_record_by_record(client, set_faults):
    made = await client.create("salesforce/leads", person=0)
    set_faults("salesforce.collections_update", lock_rate=1)
    records = [{"attributes": {"type": "Lead"}, "id": made["id"], "Title": "x"}]
    status, body, _ = await client.salesforce("PATCH", "composite/sobjects", json={"records": records})
    assert (status, body[0]["errors"][0]["statusCode"]) == (200, "UNABLE_TO_LOCK_ROW")
    assert await client.writes() == []


async def test_rate_limit_counts_all_hubspot_calls(client, set_faults):
    set_faults("hubspot.*", rate_limit=3, rate_window_seconds=3600)
    made = await client.create("hubspot/contacts", person=0)
    statuses = [(await client.call("GET", f"{CONTACTS}/{made['id']}"))[0] for _ in range(3)]
    status, _, headers = await client.call("POST", f"{CONTACTS}/batch/read", json={"inputs": []})
    assert (statuses, status) == ([200] * 3, 429)
    assert int(headers["retry-after"]) >= 1


async def test_latency_is_waited_for_concurrently(client, set_faults):
    set_faults("clearbit.*", latency=100)
    begun = perf_counter()
    await asyncio.gather(*(client.call("GET", FIND) for _ in range(20)))
    assert perf_counter() - begun >= 0.1
    assert (await client.counters())["most_in_flight"] > 1
