"""What is particular to Clearbit, ZeroBounce, People Data Labs and Hunter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lookup_cases import NO_DOMAIN, QUERY, ask, body, by_field, failure
from support.loopback import reply, sample
from support.remote import KEYS, settings_for

from enrichment_dagster.engine.billing import cost_of
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.providers.registry import build_lookups


async def test_clearbit_refuses_an_address(lookups, vendor):
    vendor.answer(reply(422, sample("clearbit-error-422")))
    error = await failure(lookups["clearbit.combined"])
    assert (error.reason, error.detail) == ("invalid_request", "Invalid email.")


@pytest.mark.parametrize(
    ("base_url", "hosts"),
    [
        ("https://person.clearbit.com", {"person": "https://person.clearbit.com", "company": "https://company.clearbit.com"}),
        ("https://person.clearbit.com/", {"company": "https://company.clearbit.com"}),
        ("http://127.0.0.1:9/clearbit", {"person": "http://127.0.0.1:9/clearbit", "company": "http://127.0.0.1:9/clearbit"}),
    ],
)  # fmt: skip
async def test_clearbit_has_a_host_for_companies_unless_it_was_moved(base_url, hosts):
    async with RemoteClients() as clients:
        lookups = build_lookups(settings_for("http://127.0.0.1:9", CLEARBIT_BASE_URL=base_url), clients)
        for purpose, host in hosts.items():
            assert repr(lookups[f"clearbit.{purpose}"].client) == f"RemoteClient('clearbit', '{host}')"
        assert lookups["clearbit.combined"].client is lookups["clearbit.person"].client


@pytest.mark.parametrize(
    ("purpose", "path", "query"),
    [
        ("combined", "/v2/combined/find", {"email": QUERY.email}),
        ("person", "/v2/people/find", {"email": QUERY.email}),
        ("company", "/v2/companies/find", {"domain": QUERY.domain}),
    ],
)
async def test_clearbit_is_sent_the_documented_request(lookups, vendor, purpose, path, query):
    vendor.answer(reply(404, {}))
    await ask(lookups[f"clearbit.{purpose}"])
    [seen] = vendor.requests
    assert (seen.method, seen.path, seen.query) == ("GET", path, query)


async def test_clearbit_is_less_sure_of_a_fuzzy_match(lookups, vendor):
    found = body("clearbit-combined-response")["person"]
    vendor.answer(reply(200, found), reply(200, {**found, "fuzzy": True}), reply(200, {**found, "fuzzy": "odd"}))
    sure, fuzzy, odd = [(await ask(lookups["clearbit.person"])).values[0].confidence for _ in range(3)]
    assert sure > fuzzy == odd


@pytest.mark.parametrize(
    ("status", "sub_status", "expected"),
    [
        ("valid", "", "valid"),
        ("catch-all", "", "accept_all"),
        ("unknown", "greylisted", "unknown"),
        ("do_not_mail", "role_based", "role"),
        ("do_not_mail", "disposable", "disposable"),
        ("do_not_mail", "global_suppression", "risky"),
        ("spamtrap", "", "risky"),
        ("abuse", "", "risky"),
    ],
)
async def test_zerobounce_statuses(lookups, vendor, status, sub_status, expected):
    vendor.answer(reply(200, {"status": status, "sub_status": sub_status}))
    assert by_field(await lookups["zerobounce.verification"].fetch(QUERY, 3)) == {"email_status": expected}


@pytest.mark.parametrize(("status", "units"), [("unknown", 0), ("Unknown", 0), ("catch-all", 1), ("new_to_us", 1)])
async def test_zerobounce_charges_nothing_for_an_unknown(lookups, vendor, status, units):
    """Alone and in a batch."""
    row = {"address": QUERY.email, "status": status, "sub_status": ""}
    vendor.answer(reply(200, row), reply(200, {"email_batch": [row], "errors": []}))
    lookup = lookups["zerobounce.verification"]
    alone = await lookup.fetch(QUERY, 3)
    (batched,) = await lookup.fetch_many([QUERY], 3)
    assert (alone.units, batched.units) == (units, units)
    assert cost_of(lookup, alone) == units * lookup.price_micros


async def test_zerobounce_says_a_wrong_key_with_200(lookups, vendor):
    vendor.answer(reply(200, {"error": f"Invalid API key {KEYS['ZEROBOUNCE_API_KEY']} or you ran out of credits"}))
    error = await failure(lookups["zerobounce.verification"])
    assert (error.reason, error.transient) == ("unauthorized", False)


@pytest.mark.parametrize(
    ("purpose", "path", "query"),
    [
        ("person", "/v5/person/enrich", {"email": QUERY.email}),
        ("company", "/v5/company/enrich", {"website": QUERY.domain}),
    ],
)
async def test_people_data_labs_is_sent_the_documented_request(lookups, vendor, purpose, path, query):
    vendor.answer(reply(404, {}))
    await ask(lookups[f"people_data_labs.{purpose}"])
    [seen] = vendor.requests
    assert (seen.method, seen.path, seen.query) == ("GET", path, query)


@pytest.mark.parametrize(
    ("likelihood", "confidence"), [(8, 0.8), (1, 0.1), (10, 1.0), (0, 0.6), (11, 0.6), (True, 0.6), ("8", 0.6)]
)
async def test_people_data_labs_says_how_sure_it_is(lookups, vendor, likelihood, confidence):
    vendor.answer(reply(200, {**body("pdl-person-enrich-response"), "likelihood": likelihood}))
    assert {raw.confidence for raw in (await ask(lookups["people_data_labs.person"])).values} == {confidence}


async def test_hunter_is_asked_by_domain_or_else_by_company(lookups, vendor):
    vendor.answer(reply(404, {}))
    finder, names = lookups["hunter.email"], {"first_name": "Dana", "last_name": "Reyes"}
    await finder.fetch(QUERY, 8.4)
    await finder.fetch(NO_DOMAIN, 1)
    await finder.fetch(QUERY, 60)
    assert [seen.query for seen in vendor.requests] == [
        {"domain": "northwind-parts.com", **names, "max_duration": "8"},
        {"company": "Northwind Parts", **names, "max_duration": "3"},
        {"domain": "northwind-parts.com", **names, "max_duration": "20"},
    ]
    assert finder.subject(QUERY) == "person:dana.reyes@northwind-parts.com"
    assert finder.subject(NO_DOMAIN) == "person:dana.reyes@northwind parts"


@pytest.mark.parametrize("name", ["", "  ", "---", None])
def test_hunter_needs_a_name_that_is_one(lookups, name):
    assert lookups["hunter.email"].subject(replace(QUERY, first_name=name)) is None
    assert lookups["hunter.email"].subject(replace(QUERY, domain=None, company_name=name)) is None


@pytest.mark.parametrize(
    ("score", "confidence"), [(97, 0.97), (0, 0.01), (100, 1), (500, 1), (None, 0.7), ("97", 0.7), (True, 0.7)]
)
async def test_hunter_says_how_sure_it_is_of_an_address(lookups, vendor, score, confidence):
    vendor.answer(reply(200, {"data": {"email": QUERY.email, "score": score}}))
    assert (await ask(lookups["hunter.email"])).values[0].confidence == confidence


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"status": "valid"}, "valid"),
        ({"status": "invalid", "result": "deliverable"}, "invalid"),
        ({"status": "accept_all", "smtp_check": True}, "accept_all"),
        ({"status": "disposable"}, "disposable"),
        ({"status": "unknown"}, "unknown"),
        ({"status": "webmail", "smtp_check": True, "block": False}, "valid"),
        ({"status": "webmail", "smtp_check": True, "block": True}, "unknown"),
        ({"status": "webmail", "smtp_check": False}, "unknown"),
        ({"status": "webmail"}, "unknown"),
        ({"status": "brand_new"}, "unknown"),
    ],
)
async def test_hunter_statuses(lookups, vendor, data, expected):
    vendor.answer(reply(200, {"data": data}))
    assert by_field(await ask(lookups["hunter.verification"])) == {"email_status": expected}


@pytest.mark.parametrize("name", ["hunter.email", "hunter.verification"])
@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("error_id", "reason", "transient"),
    [
        ("too_many_requests", "throttled", True),
        ("usage_limit_reached", "out_of_credits", False),
        ("quota_exceeded", "out_of_credits", False),
        (["odd"], "throttled", True),
    ],
)
async def test_hunter_says_by_the_id_which_limit_it_is(lookup, vendor, status, error_id, reason, transient):
    vendor.answer(reply(status, {"errors": [{"id": error_id, "code": status, "details": "no more for now"}]}))
    error = await failure(lookup)
    assert (error.reason, error.transient, error.detail) == (reason, transient, "no more for now")
    assert error.http_status == status


async def test_people_data_labs_says_when_its_minute_begins_anew(lookups, vendor):
    """It sends no Retry-After: without this its pause would be a guess."""
    reset = (datetime.now(UTC) + timedelta(seconds=40)).isoformat()
    spent = {"x_ratelimit_limit": '{"minute": 100}', "x_ratelimit_remaining": '{"minute": 0}'}
    vendor.answer(
        reply(200, sample("pdl-person-enrich-response"), **spent, x_ratelimit_reset=reset),
        reply(429, {"error": {"message": "slow down"}}, x_ratelimit_reset=reset),
        reply(429, {"error": {"message": "slow down"}}, x_ratelimit_reset="1790000000"),
    )
    lookup = lookups["people_data_labs.person"]
    answer = await ask(lookup)
    assert answer.quota.remaining == 0
    assert 30 < answer.quota.resets_in_seconds <= 40
    told, odd = await failure(lookup), await failure(lookup)
    assert 30 < told.retry_after_seconds <= 40
    assert odd.retry_after_seconds is None
