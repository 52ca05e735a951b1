"""The same suite for every lookup that asks for many subjects at once: no query ever gets another one's row."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from lookup_cases import NOBODY, QUOTAS, body, by_field, key_of
from support.loopback import reply
from support.remote import FAULTS, PERSONAL, assert_failed_as, assert_nothing_secret, every_fault, timeout_for, told

from enrichment_dagster.domain.normalise import InvalidValueError, normalise
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import Answer, Query
from enrichment_dagster.providers.registry import VENDORS


@dataclass(frozen=True)
class BulkCase:
    """How one vendor's bulk reply is made of rows."""

    row: Callable[[int], dict[str, Any]]  # what it says of the n-th query
    reply: Callable[[Any], Any]  # the body around the rows
    value: Callable[[int], tuple[str, Any]]  # a field of the n-th row
    spoiled: dict[str, Any]  # wrong types in a row that still says whose it is
    missing: str  # what a query without a row gets: "miss", or the reason of an error
    sent: Callable[[Any], list[Any]]  # the subjects in a request's body
    misses: tuple[dict[str, Any], ...] = ()  # rows that say that nothing is known


def email(n: int) -> str:
    return f"person{n}@northwind{n}.com"


def query(n: int) -> Query:
    return Query(email=email(n), domain=f"northwind{n}.com")


def _apollo_company(n: int) -> dict[str, Any]:
    website = {"website_url": f"https://www.northwind{n}.com/"} if n % 2 else {"primary_domain": f"Northwind{n}.com"}
    return {"id": f"o{n}", "name": f"Company {n}", **website}


def _labs_row(n: int, status: int = 200) -> dict[str, Any]:
    return {"status": status, "likelihood": 8, "data": {"first_name": f"p{n}"}, "metadata": {"query": str(n)}}


CASES = {
    "apollo.person": BulkCase(
        row=lambda n: {"id": f"p{n}", "email": email(n).upper(), "first_name": f"P{n}"},
        reply=lambda rows: {"status": "success", "unique_enriched_records": 9, "missing_records": 0, "matches": rows},
        value=lambda n: ("first_name", f"P{n}"),
        spoiled={"first_name": 4, "title": ["x"], "organization": "none", "id": 7},
        missing="miss",
        sent=lambda sent: [detail["email"] for detail in sent["details"]],
    ),
    "apollo.company": BulkCase(
        row=_apollo_company,
        reply=lambda rows: {"status": "success", "missing_records": 0, "organizations": rows},
        value=lambda n: ("company_name", f"Company {n}"),
        spoiled={"name": 4, "estimated_num_employees": "many", "technology_names": {}, "id": []},
        missing="miss",
        sent=lambda sent: [f"person{domain[9:-4]}@{domain}" for domain in sent["domains"]],
    ),
    "people_data_labs.person": BulkCase(
        row=_labs_row,
        reply=lambda rows: rows,
        value=lambda n: ("first_name", f"P{n}"),
        spoiled={"data": {"first_name": 4, "job_title": ["x"], "work_email": True}, "likelihood": "high"},
        missing="missing_row",
        sent=lambda sent: [request["params"]["email"] for request in sent["requests"]],
        misses=({"status": 404, "error": {"type": "not_found"}},),
    ),
    "zerobounce.verification": BulkCase(
        row=lambda n: {"address": email(n), "status": "do_not_mail", "sub_status": ["disposable", "role_based"][n % 2]},
        reply=lambda rows: {"email_batch": rows, "errors": []},
        value=lambda n: ("email_status", ["disposable", "role"][n % 2]),
        spoiled={"status": ["x"], "sub_status": 4},
        missing="missing_row",
        sent=lambda sent: [item["email_address"] for item in sent["email_batch"]],
    ),
}

QUERIES = [query(n) for n in range(4)]
every_bulk_lookup = pytest.mark.parametrize("name", CASES)


@pytest.fixture
def case(name):
    return CASES[name]


@pytest.fixture
def fetch(lookup, case, vendor):
    async def answers(rows, queries=QUERIES, **headers):
        vendor.answer(reply(200, case.reply(rows), **headers))
        return await lookup.fetch_many(queries, 3)

    return answers


async def failure(lookup, queries=QUERIES, timeout_seconds=3.0):
    with pytest.raises(ProviderError) as caught:
        await lookup.fetch_many(queries, timeout_seconds)
    assert_nothing_secret(told(caught.value), *map(email, range(4)))
    return caught.value


def assert_right(case, results, indexes):
    for n in indexes:
        field, value = case.value(n)
        assert by_field(results[n])[field] == value


def assert_missing(case, result):
    if case.missing == "miss":
        assert by_field(result) == {}
    else:
        assert (result.reason, result.transient) == (case.missing, True)


def test_every_lookup_with_a_bulk_call_has_a_case():
    classes = {f"{name}.{key}": kind for name, vendor in VENDORS.items() for key, kind in vendor.lookups.items()}
    assert {name for name, kind in classes.items() if kind.bulk_size > 1} == set(CASES)


@every_bulk_lookup
async def test_each_query_gets_its_row_whatever_the_order(fetch, lookup, case, vendor):
    rows = [case.row(n) for n in range(4)]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        results = await fetch([rows[n] for n in order])
        assert_right(case, results, range(4))
        assert all(result.units == 1 and len(result.values) > 0 for result in results)
        assert all({raw.field for raw in result.values} <= lookup.gives for result in results)
    assert len(vendor.requests) == 3
    assert case.sent(vendor.requests[0].json) == [email(n) for n in range(4)]


@every_bulk_lookup
@pytest.mark.parametrize("lost", range(4))
async def test_a_null_or_a_dropped_row_moves_no_other(fetch, case, lost):
    rows = [case.row(n) for n in range(4)]
    others = [n for n in range(4) if n != lost]
    for left in ([None if n == lost else rows[n] for n in range(4)], [rows[n] for n in others]):
        results = await fetch(left)
        assert_right(case, results, others)
        assert_missing(case, results[lost])


@every_bulk_lookup
async def test_a_short_reply_leaves_the_rest_without_a_row(fetch, case):
    for result in await fetch([]):
        assert_missing(case, result)
    assert_right(case, await fetch([case.row(0)]), [0])


@every_bulk_lookup
async def test_a_row_of_wrong_types_spoils_no_other(fetch, case):
    results = await fetch([{**case.row(n), **(case.spoiled if n == 1 else {})} for n in range(4)])
    assert_right(case, results, [0, 2, 3])
    if isinstance(results[1], ProviderError):
        assert (results[1].reason, results[1].transient) == ("malformed", False)
        return
    by_which_it_is_known = {"email", "company_domain"}
    for raw in results[1].values:
        if raw.field not in by_which_it_is_known:
            with pytest.raises(InvalidValueError):
                normalise(raw.field, raw.value)


@every_bulk_lookup
@pytest.mark.parametrize("odd", ["x", 4, [1], True])
async def test_a_row_that_is_no_object_makes_no_misses(fetch, case, odd):
    """A remembered miss would keep the subject from being asked for again, though nobody knows what was said of it."""
    results = await fetch([case.row(0), odd, case.row(2)])
    assert_right(case, results, [0, 2])
    assert all(isinstance(results[n], ProviderError) for n in (1, 3))


@every_bulk_lookup
@pytest.mark.parametrize("rows", [{"a": 1}, "rows", 4, None])
async def test_rows_that_are_no_list_fail_the_whole_call(lookup, case, vendor, rows):
    vendor.answer(reply(200, case.reply(rows)))
    error = await failure(lookup)
    assert (error.reason, error.transient) == ("malformed", False)


@every_bulk_lookup
@every_fault
async def test_faults_fail_the_whole_call(lookup, vendor, fault):
    vendor.answer(FAULTS[fault][0])
    error = await failure(lookup, timeout_seconds=timeout_for(fault))
    assert_failed_as(error, fault)
    assert len(vendor.requests) == 1


@every_bulk_lookup
async def test_the_vendor_message_is_kept_without_secrets(lookup, vendor):
    vendor.answer(reply(400, {"message": f"too many for {key_of(lookup)} of {PERSONAL}"}))
    assert (await failure(lookup)).detail == "too many for *** of ***"


@every_bulk_lookup
async def test_more_than_a_call_may_hold_is_not_sent(lookup, vendor):
    error = await failure(lookup, [query(n) for n in range(lookup.bulk_size + 1)])
    assert (error.reason, error.maybe_sent) == ("request_too_large", False)
    assert not vendor.requests


@every_bulk_lookup
async def test_an_incomplete_query_is_told_and_not_sent(fetch, lookup, case, vendor):
    results = await fetch([case.row(0), case.row(1)], [QUERIES[0], Query(), QUERIES[1]])
    assert_right(case, [results[0], results[2]], range(2))
    assert (results[1].reason, results[1].maybe_sent) == ("incomplete_query", False)
    assert case.sent(vendor.requests[0].json) == [email(0), email(1)]
    assert [result.reason for result in await lookup.fetch_many([Query()], 3)] == ["incomplete_query"]
    assert list(await lookup.fetch_many([], 3)) == []
    assert len(vendor.requests) == 1


@every_bulk_lookup
async def test_a_subject_that_is_asked_for_twice_is_sent_and_paid_once(fetch, case, vendor):
    results = await fetch([case.row(0)], [QUERIES[0], QUERIES[0]])
    assert_right(case, [results[0]], [0])
    assert results[0] == results[1]
    assert case.sent(vendor.requests[0].json) == [email(0)]


@every_bulk_lookup
async def test_every_answer_carries_the_quota(fetch, lookup, case):
    headers = QUOTAS.get(lookup.provider, ({}, {}))[0]
    for result in await fetch([case.row(n) for n in range(4)], **headers):
        assert (result.quota is not None) == (lookup.provider in QUOTAS)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.misses])
async def test_a_row_may_say_that_nothing_is_known(fetch, case):
    for miss in case.misses:
        results = await fetch([case.row(0), {**case.row(1), **miss}, case.row(2), case.row(3)])
        assert_right(case, results, [0, 2, 3])
        assert by_field(results[1]) == {}


async def test_apollo_bulk_is_sent_and_read_as_documented(lookups, vendor):
    asked = body("apollo-bulk-match-request")["details"][0]["email"]
    vendor.answer(reply(200, body("apollo-organization-bulk-enrich-response")))
    found, unknown = await lookups["apollo.company"].fetch_many(
        [Query(domain="northwind-parts.com"), Query(domain="old-harbor.com")], 3
    )
    assert by_field(found)["employees"] == 640
    assert found.ids == {"apollo.organization": "5e66b6381e05b4008c8331b8"}
    assert by_field(unknown) == {}
    vendor.answer(reply(200, {"matches": []}))
    await lookups["apollo.person"].fetch_many([Query(email=asked)], 3)
    assert [(seen.method, seen.path) for seen in vendor.requests] == [
        ("POST", "/api/v1/organizations/bulk_enrich"),
        ("POST", "/api/v1/people/bulk_match"),
    ]
    assert vendor.requests[1].json == {"details": [{"email": asked}], "reveal_personal_emails": False}


async def test_apollo_says_that_a_request_was_too_long(lookups, vendor):
    vendor.answer(reply(400, body("apollo-bulk-match-error-limit")))
    error = await failure(lookups["apollo.person"])
    assert (error.reason, error.transient) == ("bad_request", False)
    assert "more than 10" in error.detail


JANE = Query(email="jane.doe@northwind.com", domain="northwind.com")
ROW = {"id": "j", "first_name": "Jane", "last_name": "Doe", "organization": {"primary_domain": "northwind.com"}}


@pytest.mark.parametrize(
    ("asked", "row", "is_hers"),
    [
        (JANE, {**ROW, "email": "email_not_unlocked@domain.com"}, True),
        (JANE, {**ROW, "email": "j.doe@new.example"}, True),
        (JANE, {**ROW, "first_name": "Carl", "last_name": "Roe"}, False),
        (JANE, {**ROW, "organization": {"primary_domain": "old-harbor.com"}}, False),
        (JANE, {**ROW, "organization": None}, False),
        (JANE, {"organization": ROW["organization"]}, False),
        (replace(JANE, email="jd@northwind.com"), ROW, False),
        (replace(JANE, email="jd@northwind.com", first_name="Jane", last_name="doe"), ROW, True),
        (replace(JANE, first_name="Janet", last_name="Doe"), ROW, False),
        (replace(NOBODY, email="x@y.example", ids={"apollo.person": "j"}), {"id": "j"}, True),
    ],
)
async def test_apollo_a_row_without_the_address_needs_the_company_and_a_fitting_name(
    lookups, vendor, asked, row, is_hers
):
    vendor.answer(reply(200, {"matches": [{**row, "title": "CEO"}]}))
    [result] = await lookups["apollo.person"].fetch_many([asked], 3)
    assert result.is_hit == is_hers


async def test_apollo_two_rows_that_fit_are_none(lookups, vendor):
    vendor.answer(reply(200, {"matches": [ROW, {**ROW, "id": "k"}]}))
    [result] = await lookups["apollo.person"].fetch_many([JANE], 3)
    assert not result.is_hit


@pytest.mark.parametrize(
    ("status", "reason", "transient"),
    [
        (402, "out_of_credits", False),
        (429, "throttled", True),
        (400, "bad_request", False),
        ("200", "malformed", False),
    ],
)
async def test_people_data_labs_rows_have_a_status_each(lookups, vendor, status, reason, transient):
    row = {"status": status, "error": {"message": f"about {email(1)}"}, "metadata": {"query": "1"}}
    vendor.answer(reply(200, [_labs_row(0), row]))
    first, second = await lookups["people_data_labs.person"].fetch_many(QUERIES[:2], 3)
    assert isinstance(first, Answer)
    assert (second.reason, second.transient) == (reason, transient)
    assert_nothing_secret(told(second), email(1))


async def test_people_data_labs_rows_without_their_metadata_are_nobodys(lookups, vendor):
    rows = [{**_labs_row(0), "metadata": odd} for odd in (None, {"query": 0}, {"query": ["0"]}, {"query": "7"})]
    vendor.answer(reply(200, rows))
    assert [r.reason for r in await lookups["people_data_labs.person"].fetch_many(QUERIES, 3)] == ["missing_row"] * 4


async def test_zerobounce_wants_the_key_in_the_body_of_a_batch(lookups, vendor):
    lookup = lookups["zerobounce.verification"]
    vendor.answer(reply(200, {"email_batch": [], "errors": []}))
    await lookup.fetch_many(QUERIES[:1], 3)
    [seen] = vendor.requests
    assert (seen.method, seen.path) == ("POST", "/v2/validatebatch")
    assert json.loads(seen.body) == {
        "api_key": key_of(lookup),
        "email_batch": [{"email_address": email(0), "ip_address": ""}],
    }


async def test_zerobounce_errors_are_of_one_address_or_of_all(lookups, vendor):
    lookup = lookups["zerobounce.verification"]
    of_one = {"email_batch": [CASES[lookup.name].row(0)], "errors": [{"error": "bad", "email_address": email(1)}]}
    wrong_key = f"Invalid API key {key_of(lookup)} or you ran out of credits"
    of_all = {"email_batch": [], "errors": [{"error": wrong_key, "email_address": "all"}]}
    vendor.answer(reply(200, of_one), reply(200, of_all))
    first, second = await lookup.fetch_many(QUERIES[:2], 3)
    assert isinstance(first, Answer)
    assert (second.reason, second.transient) == ("bad_request", False)
    error = await failure(lookup)
    assert (error.reason, error.transient) == ("unauthorized", False)
