"""People Data Labs: shapes, misses, credits, fields that are mere booleans."""

import json
from datetime import datetime

import pytest
from sandbox_skeleton import assert_shape, differences

PERSON = "/people_data_labs/v5/person/enrich"
BULK = "/people_data_labs/v5/person/bulk"
COMPANY = "/people_data_labs/v5/company/enrich"
DANA = "dana.reyes@northwind-parts.com"
# The OpenAPI has these at the top of a company answer; no recorded answer was at hand.
COMPANY_SHAPE = {
    "status": 200, "likelihood": 6, "id": "northwind-parts", "name": "northwind parts",
    "display_name": "Northwind Parts", "size": "501-1000", "employee_count": 640, "founded": 2009,
    "industry": "industrial automation", "inferred_revenue": "$100M-$250M",
    "location": {"name": "oakland, california, united states", "locality": "oakland", "region": "california",
                 "country": "united states"},
    "linkedin_url": "linkedin.com/company/northwind-parts", "website": "northwind-parts.com", "ticker": None,
    "type": "private", "tags": ["spare parts", "b2b"], "total_funding_raised": None, "latest_funding_stage": None,
    "employee_growth_rate": {"3_month": 0.01, "6_month": 0.02, "12_month": 0.04},
}  # fmt: skip


def known(world, test=lambda person: True):
    return [p for p in world.all_people[1:] if world.coverage.pdl_person(p) and test(p)]


def unknown(world):
    return next(p for p in world.all_people if not world.coverage.pdl_person(p))


async def test_a_person_has_the_documented_shape(client, sample):
    status, body, _ = await client.call("GET", PERSON, params={"email": DANA})
    assert status == 200
    expected = sample("pdl-person-enrich-response")
    assert_shape(expected, body)
    for name in ("full_name", "linkedin_url", "job_title", "job_company_size", "location_name", "mobile_phone"):
        assert body["data"][name] == expected["data"][name]


async def test_a_person_is_found_by_name_and_company(client):
    for company in ("Northwind Parts", "northwind-parts.com"):
        params = {"first_name": "Dana", "last_name": "Reyes", "company": company}
        _, body, _ = await client.call("GET", PERSON, params=params)
        assert body["data"]["work_email"] == DANA
    assert (await client.counters())["billed_subjects"]["people_data_labs.person_enrich"] == {DANA: 2}


async def test_texts_are_in_lower_case(client, sandbox):
    person = known(sandbox.world, lambda p: not sandbox.world.coverage.pdl_hides_contacts(p))[0]
    _, body, _ = await client.call("GET", PERSON, params={"email": person.email})
    data = {name: value for name, value in body["data"].items() if name != "id"}
    assert json.dumps(data).lower() == json.dumps(data)


async def test_a_miss_is_404_in_the_documented_shape_and_free(client, sandbox, sample):
    status, body, headers = await client.call("GET", PERSON, params={"email": unknown(sandbox.world).email})
    assert (status, headers["x-call-credits-spent"]) == (404, "0")
    assert_shape(sample("pdl-error-404"), body)
    assert body == sample("pdl-error-404")
    assert (await client.counters())["billed_total"] == 0


async def test_contact_fields_may_be_booleans(client, sandbox):
    person = known(sandbox.world, sandbox.world.coverage.pdl_hides_contacts)[0]
    _, body, _ = await client.call("GET", PERSON, params={"email": person.email})
    contacts = {name: body["data"][name] for name in ("work_email", "mobile_phone", "phone_numbers", "emails")}
    has_mobile = sandbox.world.coverage.mobile(person) is not None
    assert contacts == {"work_email": True, "mobile_phone": has_mobile, "phone_numbers": has_mobile, "emails": True}
    assert body["data"]["full_name"] == f"{person.first_name} {person.last_name}".lower()


async def test_rate_headers_are_json_and_the_reset_is_a_moment(client, set_faults):
    set_faults("people_data_labs.*", rate_limit=1000, rate_window_seconds=60)
    _, _, headers = await client.call("GET", PERSON, params={"email": DANA}, headers={"x-api-key": "sandbox-rate"})
    assert json.loads(headers["x-ratelimit-limit"]) == {"minute": 1000}
    assert json.loads(headers["x-ratelimit-remaining"]) == {"minute": 999}
    assert datetime.fromisoformat(headers["x-ratelimit-reset"]).tzinfo is not None
    assert headers["x-call-credits-spent"] == "1"


async def test_without_a_limit_no_header_tells_of_one(client):
    _, _, headers = await client.call("GET", PERSON, params={"email": DANA})
    assert not [name for name in headers if name.startswith("x-ratelimit")]


@pytest.mark.parametrize(
    ("key", "params", "status", "kind"),
    [
        ("foreign", {"email": DANA}, 401, "authentication_error"),
        ("sandbox-empty-1", {"email": DANA}, 402, "payment_required"),
        ("sandbox-key", {}, 400, "invalid_request_error"),
        ("sandbox-key", {"first_name": "Dana"}, 400, "invalid_request_error"),
    ],
)
async def test_refusals_have_the_shape_of_errors(client, sample, key, params, status, kind):
    found, body, _ = await client.call("GET", PERSON, params=params, headers={"x-api-key": key})
    assert (found, body["status"], body["error"]["type"]) == (status, status, kind)
    assert_shape(sample("pdl-error-404"), body)


async def test_throttling_has_no_retry_after(client, sample, set_faults):
    set_faults("people_data_labs.*", throttle_rate=1)
    status, body, headers = await client.call("GET", PERSON, params={"email": DANA})
    assert (status, body["error"]["type"], "retry-after" in headers) == (429, "rate_limit_error", False)
    assert_shape(sample("pdl-error-404"), body)


async def test_a_batch_answers_in_order_and_echoes_metadata(client, sandbox, sample):
    person = known(sandbox.world)[0]
    requests = [
        {"params": {"email": unknown(sandbox.world).email}, "metadata": {"n": 0}},
        {"params": {"email": DANA}, "metadata": {"n": 1}},
        {"params": {}},
        {"params": {"email": person.email}, "metadata": {}},
    ]
    status, body, headers = await client.call("POST", BULK, json={"requests": requests})
    assert (status, headers["x-call-credits-spent"]) == (200, "2")
    assert [item["status"] for item in body] == [404, 200, 400, 200]
    assert [item.get("metadata") for item in body] == [{"n": 0}, {"n": 1}, None, {}]
    assert_shape({**sample("pdl-person-enrich-response"), "metadata": {"n": 1}}, body[1])
    assert_shape({**sample("pdl-error-404"), "metadata": {"n": 1}}, body[0])
    assert (await client.counters())["billed"] == {"people_data_labs.person_bulk": 2}


@pytest.mark.parametrize("requests", [[], "x", [{"params": {"email": DANA}}] * 101])
async def test_a_batch_holds_from_one_to_a_hundred(client, sample, requests):
    status, body, _ = await client.call("POST", BULK, json={"requests": requests})
    assert status == 400
    assert_shape(sample("pdl-error-404"), body)


async def test_company_fields_stand_at_the_top(client):
    status, body, _ = await client.call("GET", COMPANY, params={"website": "https://www.northwind-parts.com/about"})
    assert status == 200
    assert set(body) == set(COMPANY_SHAPE)
    assert differences(COMPANY_SHAPE, body) == []
    for name in ("name", "display_name", "size", "employee_count", "inferred_revenue", "linkedin_url", "location"):
        assert body[name] == COMPANY_SHAPE[name]
    assert (await client.counters())["billed_subjects"]["people_data_labs.company_enrich"] == {"northwind-parts.com": 1}


async def test_an_unknown_company_is_404_and_a_missing_website_400(client, sandbox, sample):
    coverage = sandbox.world.coverage
    company = next(c for c in sandbox.world.all_companies if not coverage.pdl_company(c))
    for params, wanted in (({"website": company.domain}, 404), ({}, 400)):
        status, body, _ = await client.call("GET", COMPANY, params=params)
        assert status == wanted
        assert_shape(sample("pdl-error-404"), body)
