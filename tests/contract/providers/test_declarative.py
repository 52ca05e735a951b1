"""Providers that ``enrichment.yaml`` describes: no Python, and the same behaviour as the built-in ones."""

from dataclasses import replace

import pytest
from pydantic import ValidationError
from support.loopback import loopback, reply
from support.one_provider import ONE_KEY, REFUSALS, assert_shows_nothing, by_field, with_provider
from support.remote import FAULTS, PERSONAL, assert_failed_as, every_fault, timeout_for

from enrichment_dagster.domain.config import ProviderConfig
from enrichment_dagster.errors import ConfigurationError, ProviderError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import Charge, Query
from enrichment_dagster.providers.registry import build_lookups

QUERY = Query(
    email=PERSONAL, domain="northwind-parts.com", company_name="Northwind Parts", first_name="Dana", last_name="Reyes"
)
ANSWER = {"request_id": "req-7", "data": [{"name": "Acme"}, {"name": None}, {"id": 3}, {"name": "Globex"}]}


@pytest.fixture
async def vendor():
    async with loopback() as server:
        yield server


@pytest.fixture
async def build(vendor):
    """A lookup of the shipped provider, with parts of its description replaced."""
    async with RemoteClients() as clients:

        def new(url=vendor.url, *, auth=None, **lookup):
            described = {
                "price_usd": 0.03,
                "request": {"path": "/v1/companies/{domain}/competitors", "subject": "domain"},
                "values": {"competitors": "data[].name"},
                "request_id": "request_id",
            }
            changes = {"lookups": {"company": described | lookup}, **({"auth": auth} if auth else {})}
            return build_lookups(with_provider("competitors", url, **changes), clients)["competitors.company"]

        yield new


async def failure(lookup, query=QUERY, timeout_seconds=3.0):
    with pytest.raises(ProviderError) as caught:
        await lookup.fetch(query, timeout_seconds)
    assert_shows_nothing(caught.value)
    return caught.value


# --- the shipped example ---------------------------------------------------------------------------------------------


async def test_the_shipped_competitors_provider_works_as_it_stands_in_the_file(vendor):
    vendor.answer(reply(200, ANSWER))
    async with RemoteClients() as clients:
        [lookup] = build_lookups(with_provider("competitors", vendor.url), clients).values()
        answer = await lookup.fetch(QUERY, 3)
    [seen] = vendor.requests
    assert (seen.method, seen.path, seen.query) == ("GET", "/v1/companies/northwind-parts.com/competitors", {})
    assert (seen.headers["x-api-key"], seen.body) == (ONE_KEY, b"")
    assert by_field(answer) == {"competitors": ["Acme", "Globex"]}
    assert (answer.request_id, answer.http_status) == ("req-7", 200)
    assert [raw.confidence for raw in answer.values] == [0.7]


async def test_names_terms_and_fields_come_from_the_configuration(build):
    lookup = build()
    assert (lookup.name, lookup.provider, lookup.purpose) == ("competitors.company", "competitors", "company")
    assert (lookup.price_micros, lookup.charge, lookup.timeout_seconds) == (30_000, Charge.ON_HIT, 5)
    assert lookup.gives == {"competitors"}
    assert (lookup.bulk_size, lookup.calls_back, lookup.slow) == (1, False, False)


# --- the request -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "place"),
    [
        ({"kind": "header", "name": "X-Key"}, lambda seen: seen.headers["x-key"]),
        ({"kind": "bearer"}, lambda seen: seen.headers["authorization"].removeprefix("Bearer ")),
        ({"kind": "query", "name": "apikey"}, lambda seen: seen.query["apikey"]),
    ],
)
async def test_the_key_travels_where_the_configuration_says_and_never_shows(build, vendor, auth, place):
    vendor.answer(reply(422, {"message": f"no credits for {PERSONAL} with {ONE_KEY}"}))
    error = await failure(build(auth=auth))
    assert place(vendor.requests[0]) == ONE_KEY
    assert error.detail == "no credits for *** with ***"


async def test_placeholders_are_filled_in_path_query_and_anywhere_in_a_body(build, vendor):
    vendor.answer(reply(200, {}))
    request = {
        "method": "POST", "path": "/p/{last_name}", "subject": "email", "query": {"q": "{first_name} & {company_name}"},
        "body": {"person": [{"mail": "<{email}>"}, 7, None, True], "{domain}": "{{literal}}", "at": "{domain}"},
    }  # fmt: skip
    lookup = build(request=request, values={"title": "title"})
    await lookup.fetch(replace(QUERY, last_name="O'Neill/Smith ä"), 3)
    [seen] = vendor.requests
    assert (seen.method, seen.path) == ("POST", "/p/O'Neill%2FSmith%20%C3%A4")
    assert seen.query == {"q": "Dana & Northwind Parts"}
    assert seen.json == {
        "person": [{"mail": f"<{PERSONAL}>"}, 7, None, True], "{domain}": "{literal}", "at": "northwind-parts.com",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a?b=1", "a#b", "x\\..\\y", "//evil.example", "a\r\nb", "a/../b"])
async def test_no_value_leads_out_of_its_path_segment(build, vendor, name):
    """A company may call itself anything: what it calls itself must stay one segment."""
    vendor.answer(reply(200, {}))
    request = {"path": "/v1/{company_name}/facts", "subject": "domain"}
    await build(request=request).fetch(replace(QUERY, company_name=name), 3)
    [seen] = vendor.requests
    start, segment, end = seen.path.removeprefix("/").split("/")
    assert (start, end, seen.query) == ("v1", "facts", {})
    assert segment


@pytest.mark.parametrize("name", [".", "..", "../admin"])
async def test_a_value_that_would_climb_up_the_path_is_not_sent(build, vendor, name):
    request = {"path": "/v1/{company_name}/facts", "subject": "domain"}
    error = await failure(build(request=request), replace(QUERY, company_name=name))
    assert (error.reason, error.transient, error.maybe_sent) == ("egress_refused", False, False)
    assert not vendor.requests


@pytest.mark.parametrize(
    ("request_", "empty"),
    [
        ({"path": "/{domain}", "subject": "domain"}, {"domain": None}),
        ({"path": "/{email}", "subject": "email"}, {"email": None}),
        ({"path": "/{domain}", "query": {"n": "{company_name}"}, "subject": "domain"}, {"company_name": " "}),
        ({"method": "POST", "path": "/", "body": {"a": ["{last_name}"]}, "subject": "email"}, {"last_name": ""}),
        ({"path": "/{company_name}", "subject": "domain"}, {"domain": None}),
    ],
)
async def test_a_query_that_lacks_a_value_has_no_subject_and_is_not_sent(build, vendor, request_, empty):
    values = {"title": "title"} if request_["subject"] == "email" else {"competitors": "data"}
    lookup = build(request=request_, values=values)
    assert lookup.subject(QUERY) in {f"email:{PERSONAL}", "domain:northwind-parts.com"}
    assert lookup.subject(replace(QUERY, **empty)) is None
    error = await failure(lookup, replace(QUERY, **empty))
    assert (error.reason, error.maybe_sent) == ("incomplete_query", False)
    assert not vendor.requests


# --- the answer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"data": None},
        {"data": []},
        {"data": "x"},
        {"data": [1, "x", None]},
        {"data": [{"name": None}]},
        {"a": 1},
    ],
)
async def test_an_answer_without_values_is_a_miss(build, vendor, body):
    vendor.answer(reply(200, body))
    assert not (await build().fetch(QUERY, 3)).is_hit


async def test_statuses_that_mean_a_miss_are_configured(build, vendor):
    vendor.answer(reply(404, {"request_id": 12}), reply(410, b"<html>", "text/html"), reply(404, {}))
    lookup = build(request={"path": "/{domain}", "subject": "domain", "miss_statuses": [404, 410]})
    first, second = await lookup.fetch(QUERY, 3), await lookup.fetch(QUERY, 3)
    assert (first.values, first.http_status, first.request_id) == ((), 404, "12")
    assert (second.values, second.http_status, second.request_id) == ((), 410, "")
    strict = build(request={"path": "/{domain}", "subject": "domain", "miss_statuses": []})
    assert (await failure(strict)).reason == "not_found"


ODD = {"n": "text", "list": [1, "a", {"x": 2}], "none": None}
FAILING = ["sum(list)", "length(`1`)", "max_by(list, &x)", "join('-', n)", "contains(n, `1`)", "list[::0]"]


@pytest.mark.parametrize("expression", FAILING)
async def test_an_expression_that_fails_on_odd_data_is_no_value(build, vendor, expression):
    vendor.answer(reply(200, ODD))
    lookup = build(values={"competitors": expression, "industry": "n"}, request_id=expression)
    answer = await lookup.fetch(QUERY, 3)
    assert by_field(answer) == {"industry": "text"}
    assert answer.request_id == ""


@pytest.mark.parametrize("expression", FAILING)
async def test_where_nothing_but_failures_come_the_answer_is_malformed_and_no_miss(build, vendor, expression):
    """A miss would be remembered for a day; this one is a mistake in the description or a change at the vendor's."""
    vendor.answer(reply(200, ODD))
    error = await failure(build(values={"competitors": expression}))
    assert (error.reason, error.transient, error.detail) == ("malformed", False, "can't read competitors")


@pytest.mark.parametrize("body", ["text", 4, True, None])
async def test_a_reply_that_is_neither_object_nor_list_is_malformed(build, vendor, body):
    vendor.answer(reply(200, body))
    error = await failure(build())
    assert (error.reason, error.transient) == ("malformed", False)


async def test_a_list_can_be_read(build, vendor):
    vendor.answer(reply(200, [{"name": "Acme"}]))
    answer = await build(values={"competitors": "[].name"}, request_id=None).fetch(QUERY, 3)
    assert (by_field(answer), answer.request_id) == ({"competitors": ["Acme"]}, "")


async def test_zero_and_false_are_values(build, vendor):
    vendor.answer(reply(200, {"growth": 0, "score": False}))
    answer = await build(values={"employee_growth": "growth", "intent_score": "score"}).fetch(QUERY, 3)
    assert by_field(answer) == {"employee_growth": 0, "intent_score": False}


# --- faults ----------------------------------------------------------------------------------------------------------


@every_fault
async def test_faults(build, vendor, fault):
    vendor.answer(FAULTS[fault][0])
    error = await failure(build(), timeout_seconds=timeout_for(fault))
    assert_failed_as(error, fault)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("status", REFUSALS)
async def test_refusals(build, vendor, status):
    vendor.answer(reply(status, f"key {ONE_KEY} of {PERSONAL}".encode(), "text/plain", retry_after="7"))
    error = await failure(build())
    assert (error.reason, error.transient) == REFUSALS[status]
    assert (error.http_status, error.retry_after_seconds) == (status, 7)


async def test_a_refused_connection_is_surely_unsent(build):
    error = await failure(build("http://127.0.0.1:1"))
    assert (error.reason, error.transient, error.maybe_sent) == ("connect", True, False)


# --- the configuration -----------------------------------------------------------------------------------------------


BASE = {
    "api": "http", "base_url": "https://api.vendor.example", "api_key_env": "VENDOR_API_KEY",
    "auth": {"kind": "bearer"},
}  # fmt: skip


def described(request, values=None):
    lookup = {"price_usd": 0.01, "request": request, "values": values or {"industry": "industry"}}
    return ProviderConfig.model_validate({**BASE, "lookups": {"company": lookup}})


@pytest.mark.parametrize(
    ("request_", "place", "message"),
    [
        ({"path": "/{id}"}, "path", "no placeholder is called {id}; known are {email}, {domain}, {company_name}"),
        ({"path": "/{domain.host}"}, "path", "no placeholder is called {domain.host}"),
        ({"path": "/{domain!r}"}, "path", "no placeholder is called {domain!r}"),
        ({"path": "/{domain:>9}"}, "path", "no placeholder is called {domain:>9}"),
        ({"path": "/{}"}, "path", "no placeholder is called {}"),
        ({"path": "/{domain"}, "path", "a brace stands alone; write {{ or }} where you mean a brace"),
        ({"path": "/x", "query": {"q": "{phone}"}}, "query.q", "no placeholder is called {phone}"),
        ({"path": "/x", "method": "POST", "body": {"a": [{"b": "{x}"}]}}, "body", "no placeholder is called {x}"),
        ({"path": "/x", "method": "POST", "body": {"gql": "{ a }"}}, "body", "write {{ for a brace"),
        ({"path": "/x?d={domain}"}, "path", "pattern"),
        ({"path": "//evil.example/{domain}"}, "path", "pattern"),
        ({"path": "/x"}, "", "has no placeholder: it would ask the same of every record"),
        ({"path": "/{domain}", "body": {}}, "", "a GET request has no body"),
        ({"path": "/{email}"}, "", "{email} is of one person: it needs subject: email"),
        ({"path": "/{domain}", "query": {"n": "{last_name}"}}, "", "{last_name} is of one person"),
        ({"path": "/{domain}", "miss_statuses": [500]}, "miss_statuses.0", "less than or equal to 499"),
    ],
)
def test_a_request_that_can_not_work_is_refused_when_the_file_is_read(request_, place, message):
    with pytest.raises(ValidationError) as caught:
        described({"subject": "domain", **request_})
    [error] = caught.value.errors()
    expected = ("lookups", "company", "request", *(int(p) if p.isdecimal() else p for p in place.split(".") if p))
    assert error["loc"] == expected
    assert message in error["msg"]


def test_a_field_of_a_person_is_not_kept_under_their_domain():
    with pytest.raises(ValidationError, match="title is of one person: it needs subject: email"):
        described({"path": "/{domain}", "subject": "domain"}, {"title": "title"})


@pytest.mark.parametrize("auth", [{"kind": "header"}, {"kind": "query"}, {"kind": "bearer", "name": "x"},
                                  {"kind": "header", "name": "a: b"}, {"kind": "cookie", "name": "k"}])  # fmt: skip
def test_a_key_needs_a_place(auth):
    with pytest.raises(ValidationError):
        described({"path": "/{domain}", "subject": "domain"}).model_validate({**BASE, "auth": auth, "lookups": {}})


async def test_a_missing_key_is_a_problem_only_for_who_wants_to_call():
    settings = replace(with_provider("competitors", "http://127.0.0.1:1"), environment={})
    async with RemoteClients() as clients:
        with pytest.raises(ConfigurationError, match="COMPETITORS_API_KEY"):
            build_lookups(settings, clients)
        assert set(build_lookups(settings, clients, require_keys=False)) == {"competitors.company"}


async def test_an_error_that_comes_with_200_is_no_miss(vendor, build):
    """GraphQL answers every error like that."""
    vendor.answer(reply(200, {"data": None, "errors": [{"details": f"wrong key {ONE_KEY}"}]}))
    error = await failure(build())
    assert (error.reason, error.detail, error.transient) == ("error_in_reply", "wrong key ***", False)


async def test_what_an_answer_has_counts_whatever_else_it_complains_of(vendor, build):
    vendor.answer(reply(200, {**ANSWER, "errors": [{"details": "one source is slow"}]}))
    assert by_field(await build().fetch(QUERY, 3)) == {"competitors": ["Acme", "Globex"]}
