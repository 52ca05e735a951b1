"""Apollo's phones: ordered in a match, delivered by webhook, kept for a while; and the credits they cost."""

import asyncio
import json

import pytest
from sandbox_skeleton import assert_shape

from enrichment_dagster.sandbox import SandboxConfig, parse_plan, running_sandbox
from enrichment_dagster.sandbox.apollo_phone import ApolloPhones
from enrichment_dagster.sandbox.apollo_wire import ApolloAccount
from enrichment_dagster.sandbox.callbacks import MOST_WAITING, Callbacks, is_loopback
from enrichment_dagster.sandbox.counters import Counters
from enrichment_dagster.sandbox.wire import Request

MATCH = "/apollo/api/v1/people/match"
RESULT = "/apollo/api/v1/webhook_result"
DANA = "dana.reyes@northwind-parts.com"
NO_LATENCY = parse_plan({"endpoints": {"*": {"latency": 0}}})
LOCAL = "http://127.0.0.1:9/hook"


def order(email, url):
    return {"email": email, "reveal_phone_number": True, "webhook_url": url}


class Silent(Callbacks):
    """Remembers what it was to send, and sends nothing."""

    def __init__(self):
        super().__init__(Counters())
        self.sent = []

    def post(self, name, url, body, delays, headers):
        self.sent.append((name, url, body, tuple(delays)))


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def callbacks():
    return Silent()


@pytest.fixture
def phones(sandbox, clock, counters, callbacks):
    config = SandboxConfig(callback_delay_seconds=20, callback_repeats=1)
    return ApolloPhones(config, sandbox.world, ApolloAccount(config), callbacks, counters, clock)


def result(phones, request_id):
    request = Request("GET", "", b"", ((b"x-api-key", b"sandbox-key"),), b"")
    request.tail = str(request_id)
    answer = phones.result(request)
    return answer.status, json.loads(answer.body)


async def test_the_match_answers_at_once_and_the_phone_follows_by_webhook(quick_client, receiver, sample):
    status, body, _ = await quick_client.call("POST", MATCH, json=order(DANA, receiver.url))
    assert status == 200
    assert_shape(sample("apollo-people-match-response"), body)
    _, delivered = await receiver.next()
    assert_shape(sample("apollo-phone-webhook-result"), delivered)
    assert delivered["request_id"] == str(body["request_id"])
    numbers = delivered["webhook_result"]["people"][0]["phone_numbers"]
    assert [number["sanitized_number"] for number in numbers] == ["+14155550132"]
    _, again = await receiver.next()  # It may come twice.
    assert again["request_id"] == delivered["request_id"]


async def test_the_result_can_be_fetched_as_well(quick_client, receiver, sample):
    _, body, _ = await quick_client.call("POST", MATCH, json=order(DANA, receiver.url))
    for _ in range(2):
        await receiver.next()
    status, fetched, _ = await quick_client.call("GET", f"{RESULT}/{body['request_id']}")
    assert status == 200
    assert_shape(sample("apollo-phone-webhook-result"), fetched)


async def test_a_phone_is_charged_once_and_shown_in_the_credits(quick_client, receiver, sample):
    _, body, _ = await quick_client.call("POST", MATCH, json=order(DANA, receiver.url))
    for _ in range(2):
        await receiver.next()
    await quick_client.call("GET", f"{RESULT}/{body['request_id']}")
    assert (await quick_client.counters())["billed"] == {"apollo.people_match": 1, "apollo.phone": 1}
    await quick_client.counted("callbacks", {"apollo.phone": {"delivered": 2}})
    _, usage, _ = await quick_client.call("POST", "/apollo/api/v1/usage_stats/credit_usage_stats")
    assert_shape(sample("apollo-credit-usage-stats"), usage)
    stats = usage["credit_usage_stats"]
    assert (stats["lead_credit"]["consumed"], stats["direct_dial_credit"]["consumed"]) == (1, 8)
    assert (await quick_client.counters())["billed"] == {"apollo.people_match": 1, "apollo.phone": 1}


async def test_credits_are_for_master_keys(client):
    path = "/apollo/api/v1/usage_stats/credit_usage_stats"
    status, body, _ = await client.call("POST", path, headers={"x-api-key": "sandbox-limited"})
    assert (status, body["error_code"]) == (403, "API_INACCESSIBLE")


@pytest.mark.parametrize("url", [None, "", "http://example.com/hook", "ftp://127.0.0.1/", "https://", "http://[bad"])
async def test_a_phone_needs_a_webhook_url_by_https(client, url):
    status, body, _ = await client.call("POST", MATCH, json=order(DANA, url))
    assert (status, set(body)) == (422, {"error"})
    assert (await client.counters())["billed_total"] == 0


async def test_nothing_is_sent_to_another_machine(client):
    status, _, _ = await client.call("POST", MATCH, json=order(DANA, "https://enrich.example.com/hook"))
    assert status == 200
    assert (await client.counters())["callbacks"] == {"apollo.phone": {"not_loopback": 1}}


def test_a_result_is_pending_then_there_then_expired(phones, clock, sample):
    request_id = phones.order(order(DANA, LOCAL), None)
    status, body = result(phones, request_id)
    assert (status, body["retry_after_seconds"]) == (404, 20)
    assert_shape(sample("apollo-webhook-result-pending"), body)
    clock.now += 20
    assert result(phones, request_id)[0] == 200
    clock.now += 31 * 86_400
    assert result(phones, request_id) == (410, {"error_code": "request_id_expired"})


def test_unknown_and_invalid_request_ids(phones):
    assert result(phones, 12) == (404, {"error_code": "request_id_unknown"})
    assert result(phones, "x1") == (400, {"error_code": "invalid_request_id"})


def test_each_order_has_an_id_of_its_own(phones):
    ids = {phones.order(order(DANA, LOCAL), None) for _ in range(5)}
    assert len(ids) == 5
    assert all(-(2**63) <= request_id < 2**63 for request_id in ids)


def test_who_has_no_mobile_costs_nothing(phones, sandbox, counters, clock):
    person = next(p for p in sandbox.world.all_people if p.apollo_knows and not sandbox.world.coverage.mobile(p))
    request_id = phones.order(order(person.email, LOCAL), person)
    clock.now += 20
    _, body = result(phones, request_id)
    assert body["webhook_result"]["people"] == [{"id": person.key, "status": "success", "phone_numbers": []}]
    assert (body["webhook_result"]["credits_consumed"], body["webhook_result"]["missing_records"]) == (0, 1)
    assert counters.billed("apollo.phone") == 0


def test_the_webhook_comes_after_the_delay_and_again_after_another(phones, callbacks):
    phones.order(order(DANA, LOCAL), None)
    assert [(name, url, delays) for name, url, _, delays in callbacks.sent] == [("apollo.phone", LOCAL, (20, 40))]


async def test_a_refused_and_a_failed_callback_are_counted(receiver):
    counters = Counters()
    callbacks = Callbacks(counters)
    receiver.status = 503
    callbacks.post("refused", receiver.url, lambda: b"{}", [0], {})
    callbacks.post("failed", LOCAL, lambda: b"{}", [0], {})
    await receiver.next()
    await asyncio.wait_for(callbacks.drained(), 5)
    await callbacks.close()
    assert counters.as_data()["callbacks"] == {"refused": {"refused": 1}, "failed": {"failed": 1}}


async def test_an_ending_sandbox_gives_up_its_callbacks(client):
    config = SandboxConfig(people=10, companies=5, callback_delay_seconds=3600, faults=NO_LATENCY)
    with running_sandbox(config) as ending:
        client.url = ending.url
        await client.call("POST", MATCH, json=order(DANA, LOCAL))
        assert ending.state.callbacks.waiting == 1
    assert ending.state.callbacks.waiting == 0


async def test_only_so_many_callbacks_wait_and_closing_gives_them_up():
    counters = Counters()
    callbacks = Callbacks(counters)
    callbacks.post("many", LOCAL, lambda: b"{}", [3600.0] * (MOST_WAITING + 2), {})
    await callbacks.close()
    assert counters.as_data()["callbacks"] == {"many": {"dropped": 2}}


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8080/x", True),
        ("https://localhost/x", True),
        ("http://[::1]/x", True),
        ("http://127.0.0.1.example.com/", False),
        ("http://localhost@example.com/", False),
        ("file://localhost/etc", False),
        (None, False),
    ],
)
def test_which_urls_are_of_this_machine(url, local):
    assert is_loopback(url) is local
