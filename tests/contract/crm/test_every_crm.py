"""The same suite for every CRM: reading, writing, and what happens when it does not answer as documented."""

from dataclasses import dataclass
from typing import Any

import pytest
from support.clock import ManualClock
from support.loopback import Act, loopback, reply, sample
from support.remote import (
    FAULTS,
    SALESFORCE_TOKEN,
    assert_failed_as,
    assert_nothing_secret,
    every_fault,
    settings_for,
    timeout_for,
    told,
)

from enrichment_dagster.crm.registry import build_crms
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import ConfigurationError, CrmError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import CrmFailure, RecordUpdate, Search

TOKEN = reply(200, sample("salesforce-oauth-token-response"))


@dataclass(frozen=True)
class Case:
    """What is particular to one CRM."""

    refs: tuple[RecordRef, RecordRef]
    before: tuple[Act, ...]  # calls that come before the first read or write
    no_rows: Any
    rows_of_wrong_types: tuple[Any, ...]
    throttle: Act
    throttle_reason: str
    bad_ids: tuple[str, ...]


CASES = {
    "hubspot": Case(
        refs=(RecordRef("hubspot", "contact", "1246978"), RecordRef("hubspot", "contact", "1246965")),
        before=(),
        no_rows={"status": "COMPLETE", "results": []},
        rows_of_wrong_types=(
            {"results": "list"}, {"results": {}}, {}, [], "x", {"results": ["x", {"id": 4}], "errors": "x"},
            {"results": [{"id": "1246978", "properties": "x"}], "errors": [4, {"context": {"ids": 4}}]},
        ),
        throttle=reply(429, sample("hubspot-error-429")),
        throttle_reason="throttled",
        bad_ids=("", "abc", "12; drop", "1/2", "9223372036854775808"),
    ),
    "salesforce": Case(
        refs=(
            RecordRef("salesforce", "lead", "00Q5g00000AbCdEEAX"),
            RecordRef("salesforce", "lead", "00Q5g00000AbCdF"),
        ),
        before=(TOKEN,),
        no_rows={"totalSize": 0, "done": True, "records": []},
        rows_of_wrong_types=({"records": "list"}, {}, [], "x", {"records": ["x", {"Id": 4}], "done": "yes"}),
        throttle=reply(403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]),
        throttle_reason="daily_limit",
        bad_ids=("", "00Q", "00Q5g00000AbCdEE", "00Q5g00000AbC'E", "00Q5g00000AbCdEEAX'--", "00Q5g00000AbCdEEAX\n"),
    ),
}  # fmt: skip

every_crm = pytest.mark.parametrize("system", CASES)
READ, FIND, WRITE = "read", "find", "write"
every_way = pytest.mark.parametrize("way", [READ, FIND, WRITE])
both_ways = pytest.mark.parametrize("way", [READ, WRITE])


@pytest.fixture
async def vendor():
    async with loopback() as server:
        yield server


@pytest.fixture
async def crms(vendor):
    async with RemoteClients() as clients:
        yield build_crms(settings_for(vendor.url), clients, ManualClock())


@pytest.fixture
def case(system):
    return CASES[system]


@pytest.fixture
def crm(crms, system, vendor, case):
    def script(*answers):
        vendor.answer(*case.before, *answers)

    crms[system].script = script
    return crms[system]


def use(crm, way, *refs):
    if way == READ:
        return crm.read(refs, ["Email"])
    if way == FIND:
        return crm.find(
            Search(refs[0].object_type, "email", ("Email",)), [f"{ref.record_id}@a.example" for ref in refs], []
        )
    return crm.write([RecordUpdate(ref, {"Title": "CEO"}) for ref in refs])


async def failure(crm, way, *refs):
    with pytest.raises(CrmError) as caught:
        await use(crm, way, *refs)
    assert_nothing_secret(told(caught.value), "sandbox-secret")
    return caught.value


def test_every_crm_has_a_case(crms):
    assert set(crms) == set(CASES)


@every_crm
@every_way
@every_fault
async def test_faults(crm, case, vendor, way, fault, monkeypatch):
    for holder in (getattr(crm, "_calls", crm), getattr(crm, "_session", crm)):
        if hasattr(holder, "_timeout_seconds"):
            monkeypatch.setattr(holder, "_timeout_seconds", timeout_for(fault))
    crm.script(FAULTS[fault][0])
    error = await failure(crm, way, *case.refs)
    assert_failed_as(error, fault)
    assert len(vendor.requests) == len(case.before) + 1


@every_crm
@every_way
async def test_throttling_names_a_wait(crm, case, way):
    crm.script(case.throttle)
    error = await failure(crm, way, *case.refs)
    assert (error.reason, error.transient) == (case.throttle_reason, True)
    assert error.retry_after_seconds >= 5


@every_crm
@every_way
async def test_retry_after_wins(crm, case, way):
    crm.script(reply(503, b"", retry_after="11"))
    assert (await failure(crm, way, *case.refs)).retry_after_seconds == 11


@every_crm
@every_way
@pytest.mark.parametrize(("status", "reason"), [(402, "out_of_credits"), (403, "forbidden"), (404, "not_found")])
async def test_refusals_in_plain_text(crm, case, way, status, reason):
    crm.script(reply(status, f"no, {SALESFORCE_TOKEN}".encode(), "text/plain"))
    error = await failure(crm, way, *case.refs)
    assert (error.reason, error.transient) == (reason, False)


@every_crm
async def test_a_refused_connection_is_surely_unsent(system, case):
    async with RemoteClients() as clients:
        crm = build_crms(settings_for("http://127.0.0.1:1"), clients, ManualClock())[system]
        error = await failure(crm, READ, *case.refs)
    assert (error.reason, error.transient, error.maybe_sent) == ("connect", True, False)


@every_crm
@both_ways
async def test_wrong_types_are_an_error_or_a_failure(crm, case, way):
    for body in case.rows_of_wrong_types:
        crm.script(reply(200, body))
        if hasattr(crm, "_session"):
            crm._session._token = None
        try:
            results = await use(crm, way, *case.refs)
        except CrmError as error:
            assert (error.reason, error.transient) == ("malformed", True)  # noqa: PT017
        else:
            assert isinstance(results[case.refs[1]], CrmFailure)  # of which no row says anything


@every_crm
async def test_a_search_that_finds_nothing_or_nonsense_finds_nobody(crm, case):
    for body in (case.no_rows, *case.rows_of_wrong_types):
        crm.script(reply(200, body))
        if hasattr(crm, "_session"):
            crm._session._token = None
        try:
            assert await use(crm, FIND, *case.refs) == {}
        except CrmError as error:
            assert (error.reason, error.transient) == ("malformed", True)  # noqa: PT017


@every_crm
async def test_searching_for_nobody_calls_nobody(crm, vendor):
    search = Search("contact", "email", ("email",))
    assert await crm.find(search, [], ["email"]) == {}
    assert not vendor.requests


@every_crm
async def test_a_record_that_is_not_there(crm, case):
    crm.script(reply(200, case.no_rows))
    results = await crm.read(case.refs, ["Email"])
    assert set(results.values()) == {CrmFailure("not_found", transient=False)}


@every_crm
@both_ways
async def test_ids_that_can_not_be_ids_are_never_sent(crm, case, vendor, way):
    crm.script(reply(500))
    refs = [RecordRef(crm.system, case.refs[0].object_type, text) for text in case.bad_ids]
    results = await use(crm, way, *refs)
    assert set(results) == set(refs)
    assert {result.reason for result in results.values()} == {"invalid_id"}
    assert not vendor.requests


@every_crm
@both_ways
async def test_kinds_of_records_that_we_do_not_know(crm, way):
    ref = RecordRef(crm.system, "unicorn", "1")
    assert await use(crm, way, ref) == {ref: CrmFailure("unknown_object_type", transient=False)}


@every_crm
@both_ways
async def test_nothing_to_do_calls_nobody(crm, vendor, way):
    assert await use(crm, way) == {}
    assert not vendor.requests


@every_crm
async def test_what_was_read_before_the_crm_went_down_is_kept(crm, case):
    kind = case.refs[0].object_type
    ids = [str(1_000_000 + n) if crm.system == "hubspot" else f"00Q5g0{n:09d}" for n in range(250)]
    crm.script(reply(200, case.no_rows), reply(503))
    results = await crm.read([RecordRef(crm.system, kind, i) for i in ids], ["Email"])
    assert {result.reason for result in results.values()} == {"not_found", "unavailable"}
    assert len(results) == 250


def test_all_missing_secrets_are_told():
    settings = settings_for("http://127.0.0.1:1", HUBSPOT_ACCESS_TOKEN="", SALESFORCE_CLIENT_SECRET=" ")
    with pytest.raises(ConfigurationError) as caught:
        build_crms(settings, RemoteClients(), ManualClock())
    assert len(caught.value.problems) == 2
