"""Salesforce: documented requests and replies, the session, ids and names that enter SOQL, results per record."""

import asyncio
import json
from urllib.parse import quote_plus

import pytest
from structlog.testing import capture_logs
from support.clock import ManualClock
from support.loopback import loopback, reply, sample
from support.remote import SALESFORCE_TOKEN, assert_nothing_secret, settings_for, told

from enrichment_dagster.crm.registry import build_crms
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import CrmError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import CrmFailure, CrmRecord, RecordUpdate, Search

TOKEN = reply(200, sample("salesforce-oauth-token-response"))
ENDED = reply(401, [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
NO_ROWS = reply(200, {"totalSize": 0, "done": True, "records": []})
WRITTEN = reply(200, [{"id": "x", "success": True, "errors": []}])
DANA = RecordRef("salesforce", "lead", "00Q5g00000AbCdEEAX")
TOKEN_PATH = "/services/oauth2/token"


def ref(number):
    return RecordRef("salesforce", "lead", f"00Q5g00000{number:05d}")


@pytest.fixture
async def vendor():
    async with loopback() as server:
        yield server


@pytest.fixture
async def salesforce(vendor):
    async with RemoteClients() as clients:
        yield build_crms(settings_for(vendor.url), clients, ManualClock())["salesforce"]


async def failure(call):
    with pytest.raises(CrmError) as caught:
        await call
    assert_nothing_secret(told(caught.value), "sandbox-secret")
    return caught.value


async def test_documented_read_follows_the_pages(salesforce, vendor):
    vendor.answer(TOKEN, reply(200, sample("salesforce-soql-query-response")), NO_ROWS)
    results = await salesforce.read([DANA], ["Email"])
    token, query, page = vendor.requests
    assert dict(p.split("=") for p in token.body.decode().split("&")) == {
        "grant_type": "client_credentials",
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
    }
    assert query.query["q"] == "SELECT Id,Email FROM Lead WHERE Id IN ('00Q5g00000AbCdE')"
    assert query.headers["authorization"] == f"Bearer {SALESFORCE_TOKEN}"
    assert page.path == "/services/data/v62.0/query/01g5g00000Example-2000"
    found = results[DANA]
    assert isinstance(found, CrmRecord)
    assert found.properties["Email"] == "dana.reyes@northwind-parts.com"
    assert "attributes" not in found.properties


async def test_documented_write(salesforce, vendor):
    vendor.answer(TOKEN, WRITTEN)
    documented = json.loads(sample("salesforce-collections-update-request"))
    [record] = documented["records"]
    properties = {name: value for name, value in record.items() if name not in {"attributes", "id"}}
    assert await salesforce.write([RecordUpdate(DANA, properties)]) == {DANA: None}
    sent = vendor.requests[-1]
    assert (sent.method, sent.path) == ("PATCH", "/services/data/v62.0/composite/sobjects")
    assert sent.json == documented
    assert sent.headers["sforce-call-options"] == "client=enrichment-dagster"


async def test_values_keep_their_types(salesforce, vendor):
    vendor.answer(TOKEN, WRITTEN)
    await salesforce.write([RecordUpdate(DANA, {"A": 640, "B": 1.5, "C": ["x", "y"], "D": True, "E": None})])
    [sent] = vendor.requests[-1].json["records"]
    assert {**sent, "attributes": 0, "id": 0} == {
        "attributes": 0, "id": 0, "A": 640, "B": 1.5, "C": "x;y", "D": True, "E": None,
    }  # fmt: skip


async def test_both_forms_of_an_id_are_one_record(salesforce, vendor):
    short = RecordRef("salesforce", "lead", DANA.record_id[:15])
    rows = [{"attributes": {}, "Id": DANA.record_id, "Email": "a@b.example"}]
    vendor.answer(TOKEN, reply(200, {"done": True, "records": rows}), WRITTEN)
    results = await salesforce.read([DANA, short], ["Email"])
    assert all(isinstance(result, CrmRecord) for result in results.values())
    assert await salesforce.write([RecordUpdate(DANA, {"A": 1}), RecordUpdate(short, {"B": 2})]) == {
        DANA: None,
        short: None,
    }
    [sent] = vendor.requests[-1].json["records"]
    assert (sent["A"], sent["B"]) == (1, 2)


async def test_an_ended_session_is_renewed_once(salesforce, vendor):
    vendor.answer(TOKEN, ENDED, TOKEN, NO_ROWS)
    assert (await salesforce.read([DANA], ["Email"]))[DANA] == CrmFailure("not_found", transient=False)
    assert [seen.path == TOKEN_PATH for seen in vendor.requests] == [True, False, True, False]


async def test_a_session_is_renewed_whatever_the_401_says(salesforce, vendor):
    """Otherwise the process would be locked out until it is started anew."""
    vendor.answer(TOKEN, reply(401, b"<html>", "text/html"), TOKEN, NO_ROWS)
    assert (await salesforce.read([DANA], ["Email"]))[DANA] == CrmFailure("not_found", transient=False)


async def test_a_session_that_ends_again_is_an_error(salesforce, vendor):
    vendor.answer(TOKEN, ENDED, TOKEN, ENDED)
    error = await failure(salesforce.read([DANA], ["Email"]))
    assert (error.reason, error.transient, error.http_status) == ("unauthorized", False, 401)
    assert len(vendor.requests) == 4


async def test_calls_at_the_same_time_share_one_renewal(salesforce, vendor):
    tokens = iter(range(1000))

    def serve(writer):
        seen = vendor.requests[-1]
        if seen.path == TOKEN_PATH:
            return reply(200, {"access_token": f"token-{next(tokens)}"})(writer)
        return (ENDED if seen.headers["authorization"] == "Bearer token-0" else NO_ROWS)(writer)

    vendor.answer(serve)
    await asyncio.gather(*(salesforce.read([ref(n)], ["Email"]) for n in range(20)))
    assert sum(seen.path == TOKEN_PATH for seen in vendor.requests) == 2


@pytest.mark.parametrize(
    ("answer", "reason", "transient"),
    [
        (reply(400, {"error": "invalid_client", "error_description": "sandbox-secret"}), "unauthorized", False),
        (reply(401, b"no", "text/plain"), "unauthorized", False),
        (reply(503, {"error": "server_error"}), "unavailable", True),
        (reply(200, {"access_token": 4}), "malformed", True),
        (reply(200, []), "malformed", True),
    ],
)
async def test_no_token(salesforce, vendor, answer, reason, transient):
    vendor.answer(answer)
    error = await failure(salesforce.write([RecordUpdate(DANA, {"A": 1})]))
    assert (error.reason, error.transient) == (reason, transient)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("name", ["Email FROM Lead--", "Owner.Name", "", "1st", "A'B", "A,B", "E\n"])
async def test_names_that_are_no_fields_never_enter_soql(salesforce, vendor, name):
    error = await failure(salesforce.read([DANA], [name]))
    assert (error.reason, error.transient, error.maybe_sent) == ("invalid_field", False, False)
    assert not vendor.requests


async def test_urls_stay_short_and_batches_within_the_limit(salesforce, vendor):
    vendor.answer(TOKEN, NO_ROWS)
    many = [f"A_rather_long_field_name_{n}__c" for n in range(60)]
    await salesforce.read([ref(n) for n in range(450)], many)
    await salesforce.read([ref(n) for n in range(450)], ["Email"])
    queries = [seen.query["q"] for seen in vendor.requests[1:]]
    assert max(query.count("'") // 2 for query in queries) == 200
    assert max(len(query) + 4 * query.count("'") + 2 * query.count(",") for query in queries) < 7_500


async def test_results_per_record(salesforce, vendor):
    codes = {
        "UNABLE_TO_LOCK_ROW": ("locked", True),
        "ENTITY_IS_DELETED": ("not_found", False),
        "STRING_TOO_LONG": ("validation", False),
        "CANNOT_UPDATE_CONVERTED_LEAD": ("converted", False),
        "SOMETHING_NEW": ("rejected", False),
        "UNKNOWN_EXCEPTION": ("server_error", True),
    }
    rows = [{"success": False, "errors": [{"statusCode": code, "message": "m", "fields": []}]} for code in codes]
    trigger = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"
    for message, meaning in (("AfterUpdate: UNABLE_TO_LOCK_ROW, unable", ("locked", True)), ("m", ("rejected", False))):
        rows.append({"success": False, "errors": [{"statusCode": trigger, "message": message, "fields": []}]})
        codes[f"{trigger} {message}"] = meaning
    vendor.answer(TOKEN, reply(200, [*rows, {"success": False}, {"id": "x", "success": True}, "odd"]))
    results = await salesforce.write([RecordUpdate(ref(n), {"A": 1}) for n in range(len(codes) + 3)])
    told_of = [None if f is None else (f.reason, f.transient) for f in results.values()]
    assert told_of == [*codes.values(), ("rejected", False), None, ("unconfirmed", True)]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (
            {"statusCode": "STRING_TOO_LONG", "message": "Title: data value too large: Chief", "fields": ["Title"]},
            "STRING_TOO_LONG: Title",
        ),
        (
            {"statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "In English", "fields": ["Title"]},
            "FIELD_CUSTOM_VALIDATION_EXCEPTION: In English",
        ),
    ],
)
async def test_the_fields_that_a_record_is_refused_for_are_named_without_values(salesforce, vendor, error, detail):
    vendor.answer(TOKEN, reply(200, [{"success": False, "errors": [error, {**error, "fields": ["City"]}]}]))
    failure = (await salesforce.write([RecordUpdate(ref(1), {"Title": "Chief", "City": "x", "Phone": "1"})]))[ref(1)]
    assert (failure.properties, failure.detail) == ({"Title", "City"}, detail)


async def test_a_locked_row_of_a_whole_call_is_transient(salesforce, vendor):
    vendor.answer(TOKEN, reply(400, sample("salesforce-rest-error")))
    error = await failure(salesforce.write([RecordUpdate(ref(n), {"A": 1}) for n in range(5)]))
    assert (error.reason, error.transient) == ("locked", True)
    assert len(vendor.requests) == 2


async def test_an_unknown_field_fails_its_records_only(salesforce, vendor):
    message = "No such column 'Nope__c' on sobject of type Lead"
    vendor.answer(TOKEN, reply(400, [{"message": message, "errorCode": "INVALID_FIELD"}]), WRITTEN)
    results = await salesforce.write([RecordUpdate(ref(1), {"Nope__c": 1}), RecordUpdate(ref(2), {"Title": "x"})])
    assert results[ref(1)].reason == "validation"
    assert results[ref(2)] is None


async def test_an_id_that_salesforce_does_not_take_fails_alone(salesforce, vendor):
    """It comes with a webhook, in a batch with everybody else's records."""
    bad, good = "00Q5g0000000077", [ref(n) for n in range(60) if n != 77]

    def serve(writer):
        query = vendor.requests[-1].query.get("q", "")
        if vendor.requests[-1].path == TOKEN_PATH:
            return TOKEN(writer)
        if bad in query:
            refusal = {"message": f"invalid ID field: {bad}", "errorCode": "INVALID_QUERY_FILTER_OPERATOR"}
            return reply(400, [refusal])(writer)
        rows = [{"Id": one.record_id, "Email": "a@b.example"} for one in good if one.record_id in query]
        return reply(200, {"done": True, "records": rows})(writer)

    vendor.answer(serve)
    poison = RecordRef("salesforce", "lead", bad)
    results = await salesforce.read([*good[:20], poison, *good[20:]], ["Email"])
    assert (results[poison].reason, results[poison].transient) == ("invalid_id", False)
    assert all(isinstance(results[one], CrmRecord) for one in good)
    assert len(vendor.requests) <= 15


async def test_the_daily_limit_stops_all(salesforce, vendor):
    vendor.answer(TOKEN, reply(403, [{"message": "Limit", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]))
    error = await failure(salesforce.read([DANA], ["Email"]))
    assert (error.reason, error.transient, error.retry_after_seconds) == ("daily_limit", True, 3600)


async def test_a_next_page_elsewhere_is_not_followed(salesforce, vendor):
    vendor.answer(TOKEN, reply(200, {"done": False, "records": [], "nextRecordsUrl": "https://evil.example/x"}))
    error = await failure(salesforce.read([DANA], ["Email"]))
    assert error.reason == "malformed"
    assert len(vendor.requests) == 2


async def test_fields_that_are_not_shown_do_not_hide_the_record(salesforce, vendor):
    """They do not exist in this account, or its administrator gave us no right to them."""

    def serve(writer):
        query = vendor.requests[-1].query.get("q", "")
        if vendor.requests[-1].path == TOKEN_PATH:
            return TOKEN(writer)
        for name in ("Seniority__c", "Tech_Stack__c"):
            if name in query:
                message = f"\nSELECT Id\n ^\nERROR at Row:1\nNo such column '{name}' on entity 'Lead'. If you are"
                return reply(400, [{"message": message, "errorCode": "INVALID_FIELD"}])(writer)
        return reply(200, {"done": True, "records": [{"Id": DANA.record_id, "Title": "CTO"}]})(writer)

    vendor.answer(serve)
    with capture_logs() as logs:
        await salesforce.read([DANA], ["Title", "Seniority__c", "Tech_Stack__c"])
        read = await salesforce.read([DANA], ["Title", "Seniority__c", "Tech_Stack__c"])
    assert [line["fields"] for line in logs] == [["Seniority__c"], ["Tech_Stack__c"]]
    assert read[DANA].properties == {"Id": DANA.record_id, "Title": "CTO"}
    by_unseen = Search("lead", "email", ("Seniority__c",))
    assert (await failure(salesforce.find(by_unseen, ["a@b.example"], ["Title"]))).reason == "bad_request"


async def test_a_field_that_does_not_exist_is_said(salesforce, vendor):
    vendor.answer(TOKEN, reply(400, [{"message": "No such column 'Nope'", "errorCode": "INVALID_FIELD"}]))
    error = await failure(salesforce.read([DANA], ["Nope"]))
    assert (error.reason, error.transient) == ("bad_request", False)
    assert "Nope" in error.detail


async def found_with(salesforce, vendor, search, *values, rows=(), properties=("Title",)):
    vendor.answer(TOKEN, reply(200, {"done": True, "records": list(rows)}))
    found = await salesforce.find(search, values, properties)
    return found, [seen.query["q"] for seen in vendor.requests if "q" in seen.query]


async def test_people_are_found_by_address(salesforce, vendor):
    rows = [{"attributes": {}, "Id": DANA.record_id, "Email": "dana.reyes@northwind-parts.com", "Title": "VP"}]
    search = Search("lead", "email", ("Email",))
    found, [query] = await found_with(
        salesforce, vendor, search, "Dana.Reyes@northwind-parts.com", "o'neil@a.example", rows=rows
    )
    assert [record.ref for record in found["Dana.Reyes@northwind-parts.com"]] == [DANA]
    assert query == (
        "SELECT Id,Email,Title FROM Lead WHERE (Email IN ('dana.reyes@northwind-parts.com','o\\'neil@a.example'))"
        " AND IsConverted = false ORDER BY LastModifiedDate DESC"
    )


async def test_accounts_are_found_by_the_domain_of_their_website(salesforce, vendor):
    sites = {"1": "https://www.acme.com/about", "2": "acme.com", "3": "https://notacme.com", "4": "nonsense", "5": None}
    rows = [{"Id": f"0015g0000000{number:0>3}", "Website": site} for number, site in sites.items()]
    found, [query] = await found_with(
        salesforce, vendor, Search("account", "domain", ("Website",)), "acme.com", rows=rows
    )
    assert [record.ref.record_id[-1] for record in found["acme.com"]] == ["1", "2"]
    assert "(Website LIKE 'acme.com%' OR Website LIKE '%/acme.com%' OR Website LIKE '%.acme.com%')" in query


async def test_numbers_are_found_in_either_field_and_any_usual_form(salesforce, vendor):
    rows = [{"Id": "0035g0000000001", "Phone": None, "MobilePhone": "(415) 555-0132"}]
    search = Search("contact", "phone", ("Phone", "MobilePhone"))
    found, [query] = await found_with(salesforce, vendor, search, "+14155550132", rows=rows)
    assert len(found["+14155550132"]) == 1
    forms = "'+14155550132','14155550132','+1 415-555-0132','(415) 555-0132','4155550132'"
    assert f"(Phone IN ({forms}) OR MobilePhone IN ({forms}))" in query


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("x' OR Name != '", "'x\\' or name != \\''"),
        ("back\\", "'back\\\\'"),
        ("100%_", "'100%_'"),
    ],
)
async def test_values_can_not_leave_their_quotes(salesforce, vendor, value, written):
    _, [query] = await found_with(salesforce, vendor, Search("contact", "email", ("Email",)), value)
    assert f"Email IN ({written})" in query


async def test_patterns_mean_what_they_say(salesforce, vendor):
    _, [query] = await found_with(salesforce, vendor, Search("account", "domain", ("Website",)), "a_b%c'.com")
    assert r"Website LIKE 'a\_b\%c\'.com%'" in query


async def test_what_no_record_can_hold_is_not_asked_for(salesforce, vendor):
    assert await salesforce.find(Search("contact", "email", ("Email",)), ["a\n@b.example"], []) == {}
    assert not vendor.requests


async def test_searches_stay_short(salesforce, vendor):
    vendor.answer(TOKEN, NO_ROWS)
    values = [f"a.rather.long.name.{number}@company.example" for number in range(400)]
    await salesforce.find(Search("contact", "email", ("Email",)), values, [f"A_field_{n}__c" for n in range(30)])
    wires = [len(quote_plus(seen.query["q"])) for seen in vendor.requests[1:]]
    assert max(wires) < 7_000
    assert len(wires) < 8
