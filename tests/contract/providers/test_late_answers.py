"""Answers that come later: by asking again, or by a call to our callback URL."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from lookup_cases import CALLBACK, CASES, QUERY, REQUEST_ID, answer_to, ask, body, by_field, failure
from support.loopback import Act, reply, sample
from support.remote import assert_nothing_secret, told

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import Pending
from enrichment_dagster.providers.registry import VENDORS


@dataclass(frozen=True)
class Late:
    """What a vendor says while it works."""

    act: Act
    pending: Pending


def again(seconds: float, status: int = 202, request_id: str = "") -> Pending:
    return Pending(request_id, seconds, status)


ORDERED = {"person": {"id": "x"}, "request_id": -7039995589705121900}
LATE = {
    **{
        f"clearbit.{purpose}": (
            Late(reply(202, {"person": None}), again(5)),
            Late(reply(202, b"", retry_after="3"), again(3)),
            Late(reply(202, b"", retry_after="soon"), again(5)),
        )
        for purpose in ("combined", "person", "company")
    },
    "hunter.email": (Late(reply(202, b""), again(2)),),
    "hunter.verification": (Late(reply(202, b""), again(2)), Late(reply(202, {"data": None}), again(2))),
    "apollo.phone": (
        Late(reply(200, ORDERED), again(60, 200, "-7039995589705121900")),
        Late(reply(200, {"person": None, "request_id": "77"}), again(60, 200, "77")),
    ),
}
every_late_lookup = pytest.mark.parametrize("name", LATE)


@every_late_lookup
async def test_what_is_not_ready_is_pending(lookup, name, vendor):
    for late in LATE[name]:
        vendor.answer(late.act)
        assert await ask(lookup) == late.pending


@pytest.mark.parametrize("name", [name for name in LATE if not CASES[name].polled])
async def test_a_poll_makes_the_same_request_and_reads_its_answer(lookup, case, name, vendor):
    vendor.answer(LATE[name][0].act, LATE[name][0].act, reply(200, case.documented))
    pending = await ask(lookup)
    assert isinstance(await lookup.poll(pending.request_id, QUERY, 3), Pending)
    assert case.expected.items() <= by_field(await lookup.poll(pending.request_id, QUERY, 3)).items()
    first, *others = [(seen.method, seen.path, seen.query, seen.body) for seen in vendor.requests]
    assert others == [first, first]


def test_every_lookup_that_calls_back_is_slow_and_has_a_case():
    classes = {f"{name}.{key}": kind for name, vendor in VENDORS.items() for key, kind in vendor.lookups.items()}
    calling_back = {name for name, kind in classes.items() if kind.calls_back}
    assert calling_back <= {name for name, kind in classes.items() if kind.slow}
    assert calling_back <= set(LATE) | {"clay.table"}  # which has test_clay.py


@pytest.fixture
def phone(lookups):
    return lookups["apollo.phone"]


async def test_a_phone_is_ordered_with_our_callback_url(phone, vendor):
    vendor.answer(reply(200, ORDERED))
    await ask(phone)
    [seen] = vendor.requests
    assert (seen.method, seen.path, seen.query) == ("POST", "/api/v1/people/match", {})
    assert seen.json == {
        "email": QUERY.email,
        "domain": QUERY.domain,
        "reveal_phone_number": True,
        "webhook_url": CALLBACK,
    }


async def test_without_a_public_url_no_phone_is_ordered(phone, vendor):
    with pytest.raises(ProviderError) as caught:
        await phone.fetch(QUERY, 3)
    assert (caught.value.reason, caught.value.transient, caught.value.maybe_sent) == ("no_public_url", False, False)
    assert not vendor.requests


async def test_the_callback_url_is_in_no_error(phone, vendor):
    for key in ("message", "error", "error_message"):
        vendor.answer(reply(422, {key: f"webhook_url {CALLBACK} can't be reached"}))
        assert (await failure(phone)).detail == "webhook_url *** can't be reached"


async def test_an_order_without_a_request_id_is_a_miss_or_malformed(phone, vendor):
    vendor.answer(reply(200, {"person": None}))
    assert by_field(await ask(phone)) == {}
    vendor.answer(reply(200, {"person": {"id": "x"}, "request_id": True}))
    assert (await failure(phone)).reason == "malformed"


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [(10, 10), (2.5, 2.5), (None, 60), ("10", 60), (-1, 60), (0, 60), (True, 60), (10**9, 60)],
)
async def test_a_result_that_is_not_ready_is_asked_for_again(phone, vendor, wait, seconds):
    vendor.answer(reply(404, {**body("apollo-webhook-result-pending"), "retry_after_seconds": wait}))
    assert await phone.poll(REQUEST_ID, QUERY, 3) == again(seconds, 404, REQUEST_ID)
    assert vendor.requests[0].path == f"/api/v1/webhook_result/{REQUEST_ID}"


@pytest.mark.parametrize(
    ("status", "code", "reason", "transient"),
    [
        (404, "request_id_unknown", "request_id_unknown", False),
        (410, "request_id_expired", "request_id_expired", False),
        (400, "invalid_request_id", "invalid_request_id", False),
        (404, None, "not_found", False),
        (410, ["odd"], "rejected", False),
        (429, "anything", "throttled", True),
        (503, "", "unavailable", True),
    ],
)
async def test_what_ends_the_waiting_and_what_does_not(phone, vendor, status, code, reason, transient):
    vendor.answer(reply(status, {"error_code": code}))
    with pytest.raises(ProviderError) as caught:
        await phone.poll(REQUEST_ID, QUERY, 3)
    assert (caught.value.reason, caught.value.transient) == (reason, transient)
    assert_nothing_secret(told(caught.value))


@pytest.mark.parametrize("request_id", ["", "x", "../people/match", "1/2", "٣", "9" * 30])
async def test_a_request_id_that_is_none_is_not_sent(phone, vendor, request_id):
    with pytest.raises(ProviderError) as caught:
        await phone.poll(request_id, QUERY, 3)
    assert not caught.value.maybe_sent
    assert not vendor.requests


def _numbers(*numbers: dict[str, Any]) -> dict[str, Any]:
    return {"id": "p", "phone_numbers": list(numbers)}


WORK = {"sanitized_number": "+14155550100", "type_cd": "work", "status_cd": "valid_number"}
OLD = {"sanitized_number": "+14155550101", "type_cd": "mobile", "status_cd": "invalid_number"}
MOBILE = {"sanitized_number": "+14155550132", "type_cd": "mobile", "status_cd": "valid_number", "confidence_cd": "high"}


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ([_numbers(WORK, OLD, MOBILE)], "+14155550132"),
        ([_numbers(WORK), _numbers(MOBILE, {**MOBILE, "sanitized_number": "+14155550133"})], "+14155550132"),
        ([_numbers(OLD, WORK)], "+14155550101"),
        ([None, _numbers({}), _numbers(WORK)], "+14155550100"),
        ([_numbers()], None),
        ([], None),
    ],
)
def test_of_several_phones_the_first_valid_mobile_is_taken(phone, people, expected):
    answer = phone.read_callback({"webhook_result": {"people": people}})
    assert by_field(answer).get("phone") == expected
    assert answer.units == 1


@pytest.mark.parametrize("request_id", [1039995589705121900, "1039995589705121900"])
def test_a_callback_is_read_as_documented_whatever_its_request_id_is(phone, request_id):
    answer = phone.read_callback({**body("apollo-phone-webhook-result"), "request_id": request_id})
    assert by_field(answer) == {"phone": "+14155550132"}
    assert answer.request_id == REQUEST_ID
    assert answer.values[0].confidence == 0.9


@pytest.mark.parametrize("content", [None, [], "x", 4, {}, {"webhook_result": []}, {"webhook_result": {"people": {}}}])
def test_a_callback_of_another_shape_is_malformed(phone, content):
    with pytest.raises(ProviderError) as caught:
        phone.read_callback(content)
    assert (caught.value.reason, caught.value.transient) == ("malformed", False)


async def test_a_callback_and_a_poll_say_the_same(phone, case_of_phone, vendor):
    polled = await answer_to(reply(200, sample("apollo-phone-webhook-result")), phone, case_of_phone, vendor)
    assert replace(polled, quota=None) == phone.read_callback(body("apollo-phone-webhook-result"))


@pytest.fixture
def case_of_phone():
    return CASES["apollo.phone"]
