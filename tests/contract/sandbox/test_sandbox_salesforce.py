"""Salesforce Leads: sessions, updates, collections, SOQL, ids."""

import pytest

from enrichment_dagster.sandbox import SandboxConfig, parse_plan, running_sandbox
from enrichment_dagster.sandbox.catalogue import SALESFORCE_LEAD
from enrichment_dagster.sandbox.salesforce_ids import RecordIds, checksum, normalise
from enrichment_dagster.sandbox.soql import SoqlError, parse

TOKEN = "/salesforce/services/oauth2/token"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "x"}, "invalid_client"),
        ({"grant_type": "client_credentials"}, "invalid_client"),
    ],
)
async def test_token_errors(client, form, error):
    status, body, _ = await client.call("POST", TOKEN, data=form)
    assert (status, body["error"], set(body)) == (400, error, {"error", "error_description"})


async def test_update_is_204_with_either_form_of_the_id(client):
    made = await client.create("salesforce/leads", person=0)
    for lead_id, title in ((made["id"], "VP"), (made["id"][:15], "SVP")):
        status, body, headers = await client.salesforce("PATCH", f"sobjects/Lead/{lead_id}", json={"Title": title})
        assert (status, body) == (204, "")
        assert headers["sforce-limit-info"].startswith("api-usage=")
    _, record, _ = await client.call("GET", f"/_sandbox/crm/salesforce/records/{made['id'][:15]}")
    assert (record["id"], record["fields"]["Title"]) == (made["id"], "SVP")
    assert [write["new"] for write in await client.writes()] == ["VP", "SVP"]
    assert set((await client.counters())["subjects"]["salesforce.lead_update"]) == {made["id"]}


async def test_unknown_token_is_401_and_so_is_an_expired_one(client):
    await client.login()
    assert (await client.soql("SELECT Id FROM Lead"))[0] == 200
    assert (await client.call("POST", "/_sandbox/salesforce/expire-sessions"))[0] == 200
    status, body, _ = await client.soql("SELECT Id FROM Lead")
    assert (status, body) == (401, [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
    await client.login()
    assert (await client.soql("SELECT Id FROM Lead"))[0] == 200


async def test_sessions_end_by_themselves(client):
    plan = parse_plan({"endpoints": {"*": {"latency": 0}}})
    config = SandboxConfig(people=1, companies=1, salesforce_session_seconds=0, faults=plan)
    with running_sandbox(config) as other:
        client.url = other.url
        await client.login()
        assert (await client.soql("SELECT Id FROM Lead"))[0] == 401


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Nope__c": "x"}, "INVALID_FIELD"),
        ({"SystemModstamp": "2026-01-01T00:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ({"Title": "x" * 129}, "STRING_TOO_LONG"),
        ({"NumberOfEmployees": "640"}, "JSON_PARSER_ERROR"),
        ({"NumberOfEmployees": 640.5}, "JSON_PARSER_ERROR"),
        ({"Title": 5}, "JSON_PARSER_ERROR"),
        ({"Enriched_At__c": "yesterday"}, "JSON_PARSER_ERROR"),
    ],
)
async def test_refused_values_change_nothing(client, changes, code):
    made = await client.create("salesforce/leads", person=0)
    url = f"sobjects/Lead/{made['id']}"
    status, body, _ = await client.salesforce("PATCH", url, json={"City": "Leeds"} | changes)
    assert (status, body[0]["errorCode"]) == (400, code)
    record = {"attributes": {"type": "Lead"}, "id": made["id"]} | changes
    status, body, _ = await client.salesforce("PATCH", "composite/sobjects", json={"records": [record]})
    assert (status, body[0]["success"], body[0]["errors"][0]["statusCode"]) == (200, False, code)
    assert await client.writes() == []


async def test_unknown_lead(client):
    status, body, _ = await client.salesforce("PATCH", "sobjects/Lead/00Q5g00000zzzzzEAE", json={"Title": "x"})
    assert (status, body[0]["errorCode"]) == (404, "NOT_FOUND")


def records(*ids, **fields):
    return [{"attributes": {"type": "Lead"}, "id": lead_id, **fields} for lead_id in ids]


async def test_collections_keep_order_and_succeed_in_part(client):
    made = [(await client.create("salesforce/leads", person=index))["id"] for index in range(2)]
    ids = [made[0], RecordIds("Lead", 99_999_999)(), "bad id", made[1][:15]]
    status, body, _ = await client.salesforce("PATCH", "composite/sobjects", json={"records": records(*ids, Title="x")})
    assert status == 200
    assert [result["success"] for result in body] == [True, False, False, True]
    assert [result["errors"][0]["statusCode"] for result in body[1:3]] == [
        "INVALID_CROSS_REFERENCE_KEY",
        "MALFORMED_ID",
    ]
    assert body[3]["id"] == made[1]
    assert len(await client.writes()) == 2


async def test_all_or_none_rolls_back(client):
    made = (await client.create("salesforce/leads", person=0))["id"]
    request = {"allOrNone": True, "records": [*records(made, Title="x"), *records(made, Nope="x")]}
    _, body, _ = await client.salesforce("PATCH", "composite/sobjects", json=request)
    codes = [result["errors"][0]["statusCode"] for result in body]
    assert codes == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "INVALID_FIELD"]
    assert await client.writes() == []


async def test_collections_hold_two_hundred(client):
    made = (await client.create("salesforce/leads", person=0))["id"]
    for count, wanted in ((200, 200), (201, 400)):
        request = {"records": records(*[made] * count, Title="x")}
        assert (await client.salesforce("PATCH", "composite/sobjects", json=request))[0] == wanted


async def test_query_by_id_email_and_moment(client):
    first, second = [(await client.create("salesforce/leads", person=index)) for index in range(2)]
    await client.salesforce("PATCH", f"sobjects/Lead/{first['id']}", json={"Title": "VP", "NumberOfEmployees": 5})
    fields = "SELECT Id, Title, NumberOfEmployees, IsDeleted FROM Lead"
    _, body, _ = await client.soql(f"{fields} WHERE Id IN ('{first['id'][:15]}','{second['id']}')")
    rows = {row["Id"]: row for row in body["records"]}
    assert (rows[first["id"]]["NumberOfEmployees"], rows[second["id"]]["Title"]) == (5, None)
    assert rows[first["id"]]["IsDeleted"] is False
    _, body, _ = await client.soql(f"{fields} WHERE Email = '{second['email']}'")
    assert [row["Id"] for row in body["records"]] == [second["id"]]
    _, body, _ = await client.soql(f"{fields} WHERE SystemModstamp >= 2026-01-01T00:00:00Z ORDER BY Id DESC LIMIT 1")
    assert [row["Id"] for row in body["records"]] == [max(first["id"], second["id"])]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "MALFORMED_QUERY"),
        ("SELECT FROM Lead", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE Id IN ()", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE Id IN ('a'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead; DELETE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE City = 'x'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE SystemModstamp > 2026-99-99T00:00:00Z", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE Id IN ('oops')", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Nope FROM Lead", "INVALID_FIELD"),
        ("SELECT Id FROM Case", "INVALID_TYPE"),
        ("SELECT Id FROM Lead WHERE (Email = 'a' OR Phone = 'b'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Lead WHERE Email = 'a' OR Phone = 'b'", "MALFORMED_QUERY"),
        ("SELECT IsConverted FROM Account", "INVALID_FIELD"),
    ],
)
async def test_refused_queries(client, query, code):
    status, body, _ = await client.soql(query)
    assert (status, body[0]["errorCode"]) == (400, code)


async def test_bad_query_locator_and_too_long_uri(client):
    status, body, _ = await client.salesforce("GET", "query/01gNOPE-2000")
    assert (status, body[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")
    ids = ",".join(f"'{RecordIds('Lead', number)()}'" for number in range(1000))
    assert (await client.soql(f"SELECT Id FROM Lead WHERE Id IN ({ids})"))[0] == 414


async def test_any_version_is_accepted(client):
    await client.login()
    headers = {"authorization": f"Bearer {client.token}"}
    for version, wanted in (("v58.0", 200), ("v99.0", 200), ("62", 404)):
        url = f"/salesforce/services/data/{version}/query?q=SELECT+Id+FROM+Lead"
        assert (await client.call("GET", url, headers=headers))[0] == wanted


def test_ids():
    assert checksum("00Q000000000000") == "EAA"
    assert checksum("aBCDEABCDE00000") == "45A"
    assert normalise("00Q5g00000AbCdE") == "00Q5g00000AbCdEEAV"
    assert normalise("00Q5g00000AbCdEEAV") == "00Q5g00000AbCdEEAV"
    assert normalise("00Q5g00000AbCdEEAX") is None
    assert normalise("short") is None
    assert len({RecordIds("Lead", number)() for number in range(200)}) == 200


def test_soql_reads_quotes_and_case():
    tables = {"Lead": SALESFORCE_LEAD}
    query = parse("select id, email from lead where id in ('a', 'O\\'Neil')", tables)
    assert (query.table, query.fields) == ("Lead", ("Id", "Email"))
    assert query.conditions[0][0].texts == {"a", "O'Neil"}
    with pytest.raises(SoqlError):
        parse("select id from lead limit x", tables)


async def test_every_kind_of_record_is_read_and_updated(client, sandbox):
    company = sandbox.world.all_companies[0]
    account = sandbox.state.accounts.companies["salesforce", 0]
    opportunity = sandbox.state.accounts.deals["salesforce", 0]
    contact = (await client.create("salesforce/contacts", person=0))["id"]
    updates = [
        {"attributes": {"type": "Account"}, "id": account, "NumberOfEmployees": 640},
        {"attributes": {"type": "Contact"}, "id": contact, "Title": "VP"},
        {"attributes": {"type": "Opportunity"}, "id": opportunity, "Account_News__c": "x"},
        {"attributes": {"type": "Contact"}, "id": account, "Title": "no contact has this id"},
    ]
    _, results, _ = await client.salesforce("PATCH", "composite/sobjects", json={"records": updates})
    assert [item["success"] for item in results] == [True, True, True, False]
    for kind, record, wanted in (
        ("Account", account, {"Name": company.name, "NumberOfEmployees": 640}),
        ("Contact", contact, {"AccountId": account, "Title": "VP"}),
        ("Opportunity", opportunity, {"AccountId": account, "Account_News__c": "x", "StageName": "Prospecting"}),
    ):
        _, body, _ = await client.soql(f"SELECT {', '.join(wanted)} FROM {kind} WHERE Id = '{record}'")
        [row] = body["records"]
        assert (row["attributes"]["type"], {name: row[name] for name in wanted}) == (kind, wanted)
    assert {(write["kind"], write["id"]) for write in await client.writes()} == {
        ("account", account), ("contact", contact), ("opportunity", opportunity),
    }  # fmt: skip


async def test_an_account_that_does_not_exist_is_refused(client, sandbox):
    contact = (await client.create("salesforce/contacts", person=0))["id"]
    there, gone = sandbox.state.accounts.companies["salesforce", 7][:15], "0015g00000zzzzzAAA"
    for account, status in ((gone, 400), (there, 204)):
        found, _, _ = await client.salesforce("PATCH", f"sobjects/Contact/{contact}", json={"AccountId": account})
        assert found == status
    _, body, _ = await client.soql(f"SELECT AccountId FROM Contact WHERE Id = '{contact}'")
    assert body["records"][0]["AccountId"][:15] == there


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("(Website LIKE 'acme.com%' OR Website LIKE '%.acme.com%')", {"a", "b"}),
        ("Website LIKE '%/acme.co_%'", {"c"}),
        ("Website LIKE '%100\\%%'", {"d"}),
        ("(Phone IN ('1', '2') OR Website = 'ACME.com') AND IsDeleted = false", {"a", "d"}),
        ("IsDeleted = true", set()),
    ],
)
async def test_conditions_of_texts(client, condition, found):
    sites = {"a": "acme.com", "b": "https://www.acme.com/", "c": "http://acme.com", "d": "100%_x"}
    for name, site in sites.items():
        properties = {"Name": f"site {name}", "Website": site, "Phone": "1" if name == "d" else "9"}
        await client.create("salesforce/accounts", properties=properties)
    status, body, _ = await client.soql(f"SELECT Name FROM Account WHERE {condition}")
    assert status == 200, body
    assert {row["Name"].removeprefix("site ") for row in body["records"] if row["Name"][:5] == "site "} == found
