"""The same suite for every lookup of the registry: a new vendor adds a row to CASES and has to pass."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from support.loopback import Act, loopback, reply, sample
from support.remote import (
    FAULTS,
    KEYS,
    PERSONAL,
    assert_failed_as,
    assert_nothing_secret,
    every_fault,
    settings_for,
    told,
)

from enrichment_dagster.domain.fields import FIELDS
from enrichment_dagster.domain.normalise import InvalidValueError, normalise
from enrichment_dagster.errors import ConfigurationError, ProviderError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import Query
from enrichment_dagster.providers.registry import VENDORS, build_lookups

QUERY = Query(email=PERSONAL, domain="northwind-parts.com", company_name="Northwind Parts")


@dataclass(frozen=True)
class Case:
    """What is particular to one lookup."""

    sample: str
    expected: dict[str, Any]  # a part of what the sample holds
    misses: tuple[Act, ...]
    wrong_types: Any
    partial: Any
    partial_fields: set[str]
    empty_query: Query
    request_id: str = ""
    meaning: dict[int, tuple[str, bool]] | None = None  # statuses with a meaning of this vendor's own


PERSON = {"first_name": "Dana", "last_name": "Reyes", "title": "VP Operations", "city": "Oakland", "email": PERSONAL}
COMPANY = {"company_name": "Northwind Parts", "company_domain": "northwind-parts.com", "employees": 640}
NOBODY, NO_DOMAIN = replace(QUERY, email=None), replace(QUERY, domain=None)

CASES = {
    "apollo.person": Case(
        sample="apollo-people-match-response",
        expected={**PERSON, **COMPANY, "annual_revenue": 120000000.0, "tech_stack": ["Salesforce", "HubSpot"],
                  "seniority": "vp", "linkedin_url": "http://www.linkedin.com/in/dana-reyes-example"},
        misses=(reply(200, {"person": None, "request_id": 1}), reply(200, {}), reply(200, {"person": {}})),
        wrong_types={"person": {"email": True, "first_name": 4, "title": ["x"], "organization": "a string"}},
        partial={"person": {"title": "CEO", "organization": None, "email": "email_not_unlocked@domain.com"}},
        partial_fields={"title"},
        empty_query=NOBODY,
        request_id="-7039995589705121900",
    ),
    "apollo.company": Case(
        sample="apollo-organization-enrich-response",
        expected={**COMPANY, "company_phone": "+1 415-555-0100", "founded_year": 2009, "company_city": "Oakland"},
        misses=(reply(200, {"organization": None}), reply(200, {}), reply(200, {"organization": {}})),
        wrong_types={"organization": {"name": 4, "estimated_num_employees": "many", "technology_names": {"a": 1}}},
        partial={"organization": {"industry": "retail", "primary_phone": []}},
        partial_fields={"industry"},
        empty_query=NO_DOMAIN,
    ),
    "clearbit.combined": Case(
        sample="clearbit-combined-response",
        expected={**PERSON, **COMPANY, "industry": "Machinery", "company_phone": "+1 415-555-0100",
                  "linkedin_url": "https://www.linkedin.com/in/dana-reyes-example",
                  "company_linkedin_url": "https://www.linkedin.com/company/northwind-parts"},
        misses=(reply(404, {"error": {"type": "unknown_record"}}), reply(200, {"person": None, "company": None})),
        wrong_types={"person": {"email": True, "name": "Dana", "geo": [], "linkedin": {"handle": 3}}, "company": None},
        partial={"person": None, "company": {"name": "Northwind Parts"}},
        partial_fields={"company_name"},
        empty_query=NOBODY,
        meaning={202: ("pending", True)},
    ),
    "zerobounce.verification": Case(
        sample="zerobounce-validate-response",
        expected={"email_status": "invalid"},
        misses=(),
        wrong_types={"status": "valid", "sub_status": 4, "mx_found": []},
        partial={"status": "greylisted by someone"},
        partial_fields={"email_status"},
        empty_query=NOBODY,
        meaning={403: ("throttled", True)},
    ),
}  # fmt: skip


@pytest.fixture
async def vendor():
    async with loopback() as server:
        yield server


@pytest.fixture
async def lookups(vendor):
    async with RemoteClients() as clients:
        yield build_lookups(settings_for(vendor.url), clients)


@pytest.fixture
def lookup(lookups, name):
    return lookups[name]


@pytest.fixture
def case(name):
    return CASES[name]


every_lookup = pytest.mark.parametrize("name", CASES)


async def failure(lookup, timeout_seconds=3.0):
    with pytest.raises(ProviderError) as caught:
        await lookup.fetch(QUERY, timeout_seconds)
    assert_nothing_secret(told(caught.value))
    return caught.value


def by_field(answer):
    return {raw.field: raw.value for raw in answer.values}


def test_every_lookup_of_the_registry_has_a_case():
    tested_apart = {"ai.research", "clay.table"}  # in test_ai.py and test_clay.py: they do not read a vendor's record
    offered = {f"{name}.{lookup}" for name, vendor in VENDORS.items() for lookup in vendor.lookups}
    assert offered == set(CASES) | tested_apart


@every_lookup
async def test_terms_come_from_the_configuration(lookup, name):
    assert lookup.name == name == f"{lookup.provider}.{lookup.purpose}"
    assert lookup.gives <= set(FIELDS)
    assert lookup.price_micros > 0
    assert lookup.timeout_seconds > 0


@every_lookup
async def test_the_documented_reply_is_read(lookup, case, vendor):
    vendor.answer(reply(200, sample(case.sample)))
    answer = await lookup.fetch(QUERY, 3)
    found = by_field(answer)
    assert case.expected.items() <= found.items()
    assert len(answer.values) == len(found)
    assert set(found) <= lookup.gives
    assert answer.request_id == case.request_id
    assert all(0 < raw.confidence <= 1 for raw in answer.values)
    for raw in answer.values:
        normalise(raw.field, raw.value)


@every_lookup
async def test_a_miss_is_an_answer(lookup, case, vendor):
    for miss in case.misses:
        vendor.answer(miss)
        assert not (await lookup.fetch(QUERY, 3)).is_hit


@every_lookup
async def test_a_part_of_the_reply_is_enough(lookup, case, vendor):
    vendor.answer(reply(200, case.partial))
    assert set(by_field(await lookup.fetch(QUERY, 3))) == case.partial_fields


@every_lookup
async def test_values_of_wrong_types_are_passed_on_and_refused_later(lookup, case, vendor):
    vendor.answer(reply(200, case.wrong_types))
    for raw in (await lookup.fetch(QUERY, 3)).values:
        try:
            normalise(raw.field, raw.value)
        except InvalidValueError:
            continue


@every_lookup
@pytest.mark.parametrize("body", [[], ["x"], "text", 4, True, None])
async def test_a_reply_that_is_no_object_is_malformed(lookup, vendor, body):
    vendor.answer(reply(200, body))
    error = await failure(lookup)
    assert (error.reason, error.transient) == ("malformed", False)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("apollo.person", {"person": [1]}),
        ("apollo.company", {"organization": "Northwind"}),
        ("clearbit.combined", {"person": "x", "company": None}),
        ("zerobounce.verification", {"status": 5}),
        ("zerobounce.verification", {}),
    ],
)
async def test_a_main_part_of_another_type_is_malformed(lookup, vendor, body):
    vendor.answer(reply(200, body))
    error = await failure(lookup)
    assert (error.reason, error.transient) == ("malformed", False)


@every_lookup
@every_fault
async def test_faults(lookup, vendor, fault):
    vendor.answer(FAULTS[fault][0])
    error = await failure(lookup, 0.4 if fault in {"hangs", "slow drip"} else 3.0)
    assert_failed_as(error, fault)
    assert len(vendor.requests) == 1  # the engine owns retries


REFUSALS = {
    401: ("unauthorized", False), 402: ("out_of_credits", False), 403: ("forbidden", False),
    422: ("invalid_request", False), 429: ("throttled", True), 451: ("restricted", False),
}  # fmt: skip


@every_lookup
@pytest.mark.parametrize("status", REFUSALS)
async def test_refusals(lookup, case, vendor, status):
    vendor.answer(reply(status, f"key {KEYS['APOLLO_API_KEY']} of {PERSONAL}".encode(), "text/plain"))
    error = await failure(lookup)
    assert (error.reason, error.transient) == (case.meaning or {}).get(status, REFUSALS[status])
    assert error.http_status == status


@every_lookup
async def test_the_vendor_message_is_kept_without_secrets(lookup, vendor):
    key = KEYS[f"{lookup.provider.upper()}_API_KEY"]
    vendor.answer(reply(422, {"message": f"no credits for {PERSONAL} with {key}, see https://x.com/a?k=1"}))
    error = await failure(lookup)
    assert error.detail == "no credits for *** with ***, see https://x.com/a?***"


@every_lookup
async def test_retry_after_is_read(lookup, vendor):
    vendor.answer(reply(429, {"message": "slow down"}, retry_after="7"))
    assert (await failure(lookup)).retry_after_seconds == 7


@pytest.mark.parametrize("name", [name for name in CASES if name != "clearbit.combined"])
async def test_404_means_that_the_address_is_wrong(lookup, vendor):
    vendor.answer(reply(404, b"<html>", "text/html"))
    error = await failure(lookup)
    assert (error.reason, error.transient) == ("not_found", False)


@every_lookup
async def test_a_refused_connection_is_surely_unsent(name):
    async with RemoteClients() as clients:
        lookup = build_lookups(settings_for("http://127.0.0.1:1"), clients)[name]
        error = await failure(lookup)
    assert (error.reason, error.transient, error.maybe_sent) == ("connect", True, False)


@every_lookup
async def test_an_incomplete_query_has_no_subject_and_is_not_sent(lookup, case, vendor):
    assert lookup.subject(QUERY)
    assert lookup.subject(case.empty_query) is None
    with pytest.raises(ProviderError) as caught:
        await lookup.fetch(case.empty_query, 3)
    assert not caught.value.maybe_sent
    assert not vendor.requests


@every_lookup
async def test_keys_travel_where_the_vendor_wants_them(lookup, vendor):
    vendor.answer(reply(500))
    await failure(lookup)
    [seen] = vendor.requests
    key = KEYS[f"{lookup.provider.upper()}_API_KEY"]
    places = {
        "apollo": seen.headers.get("x-api-key"),
        "clearbit": seen.headers.get("authorization", "").removeprefix("Bearer "),
        "zerobounce": seen.query.get("api_key"),
    }
    assert places[lookup.provider] == key


async def test_apollo_is_sent_the_documented_request(lookups, vendor):
    vendor.answer(reply(200, {}))
    await lookups["apollo.person"].fetch(QUERY, 3)
    [seen] = vendor.requests
    assert (seen.method, seen.path) == ("POST", "/api/v1/people/match")
    assert seen.json == json.loads(sample("apollo-people-match-request"))


async def test_a_plus_in_an_address_survives_the_query(lookups, vendor):
    vendor.answer(reply(200, {"status": "valid"}))
    await lookups["zerobounce.verification"].fetch(replace(QUERY, email="a+b%@c.example"), 3)
    assert vendor.requests[0].query["email"] == "a+b%@c.example"


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


async def test_zerobounce_says_a_wrong_key_with_200(lookups, vendor):
    vendor.answer(reply(200, {"error": f"Invalid API key {KEYS['ZEROBOUNCE_API_KEY']} or you ran out of credits"}))
    error = await failure(lookups["zerobounce.verification"])
    assert (error.reason, error.transient) == ("unauthorized", False)


async def test_clearbit_pending(lookups, vendor):
    vendor.answer(reply(202, {"person": None}))
    error = await failure(lookups["clearbit.combined"])
    assert (error.reason, error.transient, error.http_status) == ("pending", True, 202)


async def test_clearbit_refuses_an_address(lookups, vendor):
    vendor.answer(reply(422, sample("clearbit-error-422")))
    error = await failure(lookups["clearbit.combined"])
    assert (error.reason, error.detail) == ("invalid_request", "Invalid email.")


async def test_apollo_says_how_sure_it_is_of_an_address(lookups, vendor):
    vendor.answer(
        reply(200, {"person": {"email": PERSONAL, "email_status": "verified"}}),
        reply(200, {"person": {"email": PERSONAL, "email_status": ["odd"]}}),
    )
    sure = await lookups["apollo.person"].fetch(QUERY, 3)
    unsure = await lookups["apollo.person"].fetch(QUERY, 3)
    assert sure.values[0].confidence > 0.9 > unsure.values[0].confidence


async def test_all_problems_of_the_configuration_are_told_at_once():
    settings = settings_for("http://127.0.0.1:1", APOLLO_API_KEY=" ", CLEARBIT_API_KEY=" ")
    providers = {**settings.config.providers, "nobody": settings.config.providers["apollo"]}
    settings = replace(settings, config=settings.config.model_copy(update={"providers": providers}))
    with pytest.raises(ConfigurationError) as caught:
        build_lookups(settings, RemoteClients())
    text = str(caught.value)
    assert all(
        part in text for part in ("APOLLO_API_KEY", "CLEARBIT_API_KEY", "nobody", "apollo, clearbit, zerobounce")
    )
