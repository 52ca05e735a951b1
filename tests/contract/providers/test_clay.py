"""Clay: a row goes out, the answer comes to our callback URL or never."""

from dataclasses import replace

import pytest
from support.loopback import hang_up, loopback, reply
from support.one_provider import ONE_KEY, REFUSALS, assert_shows_nothing, by_field, with_provider
from support.remote import FAULTS, PERSONAL, assert_failed_as, every_fault, timeout_for

from enrichment_dagster.errors import ConfigurationError, ProviderError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import Answer, Pending, Query
from enrichment_dagster.providers.registry import build_lookups

WEBHOOK = "/v3/sources/webhook/pull-in-data-4711"
CALLBACK = "https://enrich.example.com/callbacks/clay/k3jd8s"
QUERY = Query(
    email=PERSONAL, domain="northwind-parts.com", company_name="Northwind Parts", first_name="Dana", last_name="Reyes",
    known={"phone": "+14155550100", "title": "VP"}, ids={"apollo.person": "p1"},
)  # fmt: skip
PERSON_ROW = {"email": PERSONAL, "first_name": "Dana", "last_name": "Reyes"}
COMPANY_ROW = {"company_domain": "northwind-parts.com", "company_name": "Northwind Parts", "callback_url": CALLBACK}
TAKEN_ALL_THE_SAME = {"malformed JSON", "an HTML page with 200", "100 MB, declared", "100 MB, not declared"}


@pytest.fixture
async def vendor():
    async with loopback() as server:
        yield server


@pytest.fixture
async def build(vendor):
    async with RemoteClients() as clients:

        def new(url=vendor.url, **values):
            lookups = {"table": {"price_usd": 0.05, "values": values}} if values else None
            settings = with_provider("clay", f"{url}{WEBHOOK}", **({"lookups": lookups} if lookups else {}))
            return build_lookups(settings, clients)["clay.table"]

        yield new


async def failure(lookup, query=QUERY, timeout_seconds=3.0, callback_url=CALLBACK):
    with pytest.raises(ProviderError) as caught:
        await lookup.fetch(query, timeout_seconds, callback_url)
    assert_shows_nothing(caught.value, CALLBACK)
    return caught.value


async def test_the_shipped_table_gives_what_its_columns_are_mapped_to(build):
    lookup = build()
    assert (lookup.name, lookup.calls_back, lookup.bulk_size, lookup.slow) == ("clay.table", True, 1, True)
    assert lookup.gives == {"title", "seniority", "employees", "industry"}
    assert lookup.subject(QUERY) == f"email:{PERSONAL}"


async def test_one_flat_row_goes_to_the_tables_webhook(build, vendor):
    vendor.answer(reply(200, {"success": True}))
    found = await build().fetch(QUERY, 3, CALLBACK)
    assert found == Pending(request_id="", poll_after_seconds=None, http_status=200)
    [seen] = vendor.requests
    assert (seen.method, seen.path, seen.query) == ("POST", WEBHOOK, {})
    assert seen.headers["x-clay-webhook-auth"] == ONE_KEY
    row = seen.json
    source_id = row.pop("source_id")
    assert row == PERSON_ROW | COMPANY_ROW
    assert len(source_id) == 40
    assert PERSONAL not in source_id


async def test_the_row_of_one_subject_has_one_source_id_and_empty_columns_are_left_out(build, vendor):
    vendor.answer(reply(200, {}))
    lookup = build()
    for query in (QUERY, replace(QUERY, first_name=None, company_name=""), replace(QUERY, email="a@b.example")):
        await lookup.fetch(query, 3, CALLBACK)
    same, bare, other = (seen.json for seen in vendor.requests)
    assert same["source_id"] == bare["source_id"] != other["source_id"]
    assert set(bare) == {"email", "last_name", "company_domain", "source_id", "callback_url"}


async def test_a_table_about_companies_is_told_nothing_of_the_person(build, vendor):
    """Its answer is kept for the domain, so that two leads of one company cost one row of the webhook's life."""
    vendor.answer(reply(200, {}))
    lookup = build(employees="employees")
    await lookup.fetch(QUERY, 3, CALLBACK)
    assert lookup.subject(QUERY) == "domain:northwind-parts.com"
    assert set(vendor.requests[0].json) == {*COMPANY_ROW, "source_id"}


@pytest.mark.parametrize("answer", [reply(200, b"OK", "text/plain"), reply(200), reply(202, []), reply(200, b"\x00")])
async def test_the_body_of_a_success_says_nothing(build, vendor, answer):
    vendor.answer(answer)
    assert isinstance(await build().fetch(QUERY, 3, CALLBACK), Pending)


@pytest.mark.parametrize(
    ("query", "callback_url", "reason"),
    [
        (replace(QUERY, email=None), CALLBACK, "incomplete_query"),
        (QUERY, "", "no_callback_url"),
        (replace(QUERY, company_name="x" * 100_000), CALLBACK, "row_too_large"),
        (replace(QUERY, company_name="ä" * 50_000), CALLBACK, "row_too_large"),
    ],
)
async def test_what_can_not_be_answered_is_not_sent(build, vendor, query, callback_url, reason):
    error = await failure(build(), query, callback_url=callback_url)
    assert (error.reason, error.transient, error.maybe_sent) == (reason, False, False)
    assert not vendor.requests


async def test_a_row_can_not_be_polled_which_would_be_a_second_row(build, vendor):
    with pytest.raises(ProviderError) as caught:
        await build().poll("", QUERY, 3)
    assert (caught.value.reason, caught.value.transient, caught.value.maybe_sent) == ("no_poll", False, False)
    assert not vendor.requests


# --- the callback ----------------------------------------------------------------------------------------------------


async def test_the_callback_is_read_by_the_configured_columns(build):
    body = {"title": "VP Operations", "employees": "640", "industry": "", "Seniority": "vp", "source_id": "x"}
    answer = build().read_callback(body)
    assert by_field(answer) == {"title": "VP Operations", "employees": "640"}
    assert answer == Answer(answer.values)


async def test_columns_may_have_any_name(build):
    lookup = build(title='"Job Title"', employees='"Company: Size"')
    assert by_field(lookup.read_callback({"Job Title": "CEO", "Company: Size": 5})) == {"title": "CEO", "employees": 5}


@pytest.mark.parametrize("body", [{}, {"title": None, "employees": ""}, {"status": "error"}])
async def test_a_callback_without_values_is_a_miss(build, body):
    assert not build().read_callback(body).is_hit


@pytest.mark.parametrize("body", [None, [], [{"title": "CEO"}], "title", 4, True])
async def test_a_callback_of_another_shape_is_malformed(build, body):
    with pytest.raises(ProviderError) as caught:
        build().read_callback(body)
    assert (caught.value.reason, caught.value.transient) == ("malformed", False)


# --- faults ----------------------------------------------------------------------------------------------------------


@every_fault
async def test_faults(build, vendor, fault):
    vendor.answer(FAULTS[fault][0])
    lookup = build()
    if fault in TAKEN_ALL_THE_SAME:
        assert isinstance(await lookup.fetch(QUERY, 3, CALLBACK), Pending)
    else:
        assert_failed_as(await failure(lookup, timeout_seconds=timeout_for(fault)), fault)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("status", [*REFUSALS, 404])
async def test_refusals(build, vendor, status):
    vendor.answer(reply(status, {"message": f"{ONE_KEY} of {PERSONAL}"}, retry_after="7"))
    error = await failure(build())
    assert (error.reason, error.transient) == {**REFUSALS, 404: ("not_found", False)}[status]
    assert (error.detail, error.retry_after_seconds) == ("*** of ***", 7)


async def test_a_refused_connection_is_surely_unsent_and_a_cut_one_is_not(build, vendor):
    vendor.answer(hang_up)
    assert not (await failure(build("http://127.0.0.1:1"))).maybe_sent
    assert (await failure(build())).maybe_sent


async def test_a_table_without_columns_is_a_problem_of_the_configuration():
    settings = with_provider("clay", "http://127.0.0.1:1/hook", lookups={"table": {"price_usd": 0.05}})
    with pytest.raises(ConfigurationError, match=r"providers\.clay\.lookups\.table\.values: is missing"):
        build_lookups(settings, RemoteClients())
