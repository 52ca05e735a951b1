"""The client of a remote system: what goes out, what may come back, and what never shows."""

import asyncio
import gzip
import logging
import socket

import pytest
from pydantic import SecretStr
from support.loopback import drip, flood, hang, hang_up, loopback, raw, reply
from support.remote import told

from enrichment_dagster.errors import ConfigurationError, CrmError, ProviderError
from enrichment_dagster.http import Call, RemoteClient, RemoteClients, Rule

KEY, HEADER_KEY, FORM_KEY = "query-key-0815", "header-key-0816", "form-key-0817"
SECRETS = (KEY, HEADER_KEY, FORM_KEY)


@pytest.fixture
async def vendor():
    async with loopback() as server:
        yield server


@pytest.fixture
async def open_client():
    async with RemoteClients() as clients:

        def new(url, **options):
            options.setdefault("error", ProviderError)
            return clients.open("vendor", url, **options)

        yield new


@pytest.fixture
def client(vendor, open_client):
    headers = {"authorization": SecretStr(f"Bearer {HEADER_KEY}")}
    return open_client(vendor.url, headers=headers, params={"api_key": SecretStr(KEY)})


async def get(client, path="/x", **more):
    return await client.request("GET", path, **({"timeout_seconds": 3} | more))


async def failure(client, path="/x", **more):
    with pytest.raises(ProviderError) as caught:
        await get(client, path, **more)
    return caught.value


async def test_what_goes_out(client, vendor):
    vendor.answer(reply(200, {"a": 1}, x_request_id="r1"))
    answer = await client.request("POST", "/p", timeout_seconds=3, params={"q": "ä b"}, json={"n": 1})
    [seen] = vendor.requests
    assert (seen.method, seen.path, seen.json) == ("POST", "/p", {"n": 1})
    assert seen.query == {"api_key": KEY, "q": "ä b"}
    assert seen.headers["authorization"] == f"Bearer {HEADER_KEY}"
    assert seen.headers["content-type"] == "application/json"
    assert (answer.status, answer.body, answer.headers["X-Request-Id"]) == (200, {"a": 1}, "r1")


async def test_fields_of_the_client_go_into_every_json_object_and_are_masked(vendor, open_client):
    vendor.answer(reply(200, {}), reply(200, {}), reply(422, {"message": f"bad {KEY}"}))
    client = open_client(vendor.url, fields={"api_key": SecretStr(KEY)})
    await client.request("POST", "/p", timeout_seconds=3, json={"n": 1})
    await client.request("POST", "/p", timeout_seconds=3, json=[1])
    error = await failure(client)
    assert [seen.body for seen in vendor.requests] == [b'{"api_key":"' + KEY.encode() + b'","n":1}', b"[1]", b""]
    assert error.detail == "bad ***"


async def test_a_form(client, vendor):
    vendor.answer(reply(200, {}))
    await client.exchange(Call("POST", "/t", 3, form={"grant": "x", "secret": SecretStr("a&b")}))
    [seen] = vendor.requests
    assert seen.body == b"grant=x&secret=a%26b"
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"


async def test_an_empty_body_is_none(client, vendor):
    vendor.answer(raw(b"HTTP/1.1 204 No Content\r\n\r\n", close=False), reply(200, b""))
    assert (await get(client)).body is None
    assert (await get(client)).body is None


async def test_compressed_bodies_are_read_up_to_the_cap(vendor, open_client):
    client = open_client(vendor.url, max_body_bytes=10_000)
    small, bomb = gzip.compress(b'{"a": 1}'), gzip.compress(b" " * 50_000_000)
    vendor.answer(reply(200, small, content_encoding="gzip"), reply(200, bomb, content_encoding="gzip"))
    assert (await get(client)).body == {"a": 1}
    assert (await failure(client)).reason == "too_large"


async def test_a_body_that_is_not_what_its_header_says(client, vendor):
    vendor.answer(reply(200, b"no gzip at all", content_encoding="gzip"))
    error = await failure(client)
    assert (error.reason, error.transient) == ("malformed", True)


@pytest.mark.parametrize("act", [hang, drip])
async def test_the_deadline_covers_the_whole_call(client, vendor, act):
    vendor.answer(act)
    loop = asyncio.get_running_loop()
    started = loop.time()
    error = await failure(client, timeout_seconds=1)
    assert loop.time() - started < 10, "both would go on for 20 s and more"
    assert (error.reason, error.maybe_sent) == ("timeout", True)


async def test_the_deadline_covers_opening_a_connection(open_client):
    """A server that never accepts: nothing was sent, and that is certain."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        host = listener.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(host)
        error = await failure(open_client(f"http://127.0.0.1:{host[1]}"), timeout_seconds=0.4)
        for filler in fillers:
            filler.close()
    assert (error.reason, error.transient, error.maybe_sent) == ("connect_timeout", True, False)


async def test_waiting_for_a_free_connection_is_surely_unsent(vendor, open_client):
    vendor.answer(hang)
    client = open_client(vendor.url, max_connections=1)
    first = asyncio.create_task(get(client, timeout_seconds=30))
    await asyncio.wait_for(vendor.asked.wait(), 20)
    second = await failure(client, timeout_seconds=0.3)
    assert (second.reason, second.maybe_sent) == ("connect_timeout", False)
    assert len(vendor.requests) == 1
    first.cancel()


async def test_one_slow_system_does_not_slow_another(vendor, open_client):
    async with loopback() as quick:
        vendor.answer(hang)
        quick.answer(reply(200, {}))
        slow = open_client(vendor.url, max_connections=2)
        stuck = [asyncio.create_task(get(slow, timeout_seconds=30)) for _ in range(20)]
        await asyncio.wait_for(vendor.asked.wait(), 20)
        fast = open_client(quick.url)
        await asyncio.gather(*(get(fast) for _ in range(50)))
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()


@pytest.mark.parametrize("declared", [True, False])
async def test_a_huge_body_is_not_read_to_its_end(client, vendor, declared):
    vendor.answer(flood(100, declared=declared))
    loop = asyncio.get_running_loop()
    started = loop.time()
    error = await failure(client, timeout_seconds=10)
    assert (error.reason, error.transient) == ("too_large", False)
    assert loop.time() - started < 1


async def test_the_status_counts_even_if_an_error_page_is_huge(vendor, open_client):
    vendor.answer(reply(503, b"x" * 50_000, "text/html"))
    assert (await failure(open_client(vendor.url, max_body_bytes=1000))).reason == "unavailable"


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b"OK", "text/plain"),
        reply(200, b"{"),
        reply(200),
        flood(100, declared=True),
        flood(100, declared=False),
    ],
)
async def test_where_the_body_does_not_count_a_success_is_one_whatever_comes_with_it(vendor, open_client, answer):
    vendor.answer(answer)
    found = await get(open_client(vendor.url, body_counts=False))
    assert (found.status, found.body) == (200, None)


async def test_redirects_are_not_followed(client, vendor):
    vendor.answer(reply(307, b"", location=f"{vendor.url}/elsewhere"))
    assert (await failure(client)).reason == "redirected"
    assert len(vendor.requests) == 1


async def test_a_dead_kept_connection_is_not_used_for_a_second_try(client, vendor):
    """aiohttp would send a GET again by itself: a paid call twice."""
    vendor.answer(reply(200, {}), hang_up)
    await get(client)
    error = await failure(client)
    assert (error.reason, error.maybe_sent) == ("connection_lost", True)
    assert len(vendor.requests) == 2


async def test_connections_are_kept(client, vendor):
    vendor.answer(reply(200, {}))
    for _ in range(5):
        await get(client)
    assert vendor.connections == 1


async def test_cookies_are_not_kept(client, vendor):
    vendor.answer(reply(200, {}, set_cookie="a=b"))
    await get(client)
    await get(client)
    assert "cookie" not in vendor.requests[1].headers


async def test_proxies_of_the_environment_are_not_used(client, vendor, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    vendor.answer(reply(200, {}))
    await get(client)


async def test_accepted_statuses_and_meanings_of_a_vendors_own(vendor, open_client):
    client = open_client(vendor.url, statuses={403: Rule("throttled", transient=True)})
    vendor.answer(reply(404, {}), reply(403, {}))
    assert (await get(client, accept=(200, 404))).status == 404
    error = await failure(client)
    assert (error.reason, error.transient, error.http_status) == ("throttled", True, 403)


async def test_the_error_is_of_the_callers_kind(vendor, open_client):
    vendor.answer(reply(500))
    with pytest.raises(CrmError):
        await get(open_client(vendor.url, error=CrmError))


async def test_cancelling_a_call_gives_its_connection_back(vendor, open_client):
    client = open_client(vendor.url, max_connections=1)
    vendor.answer(hang, reply(200, {}))
    task = asyncio.create_task(get(client))
    await asyncio.wait_for(vendor.asked.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await get(client)


@pytest.mark.parametrize(
    "act",
    [
        reply(200, {}), reply(401, f"bad {KEY} {HEADER_KEY}".encode(), "text/plain"),
        reply(422, {"message": f"{KEY} {HEADER_KEY} {FORM_KEY}"}), reply(302, b"", location=f"http://x.example/?k={KEY}"),
        reply(200, b"<html>"), hang, hang_up, raw(b"nonsense\r\n\r\n"), flood(5, declared=True),
    ],
)  # fmt: skip
async def test_no_secret_in_logs_errors_and_tracebacks(client, vendor, act, caplog):
    vendor.answer(act)
    asyncio.get_running_loop().set_debug(True)
    names = ("", "aiohttp", "aiohttp.client", "aiohttp.internal", "httpx", "httpcore", "asyncio")
    for name in names:
        caplog.set_level(logging.DEBUG, logger=name or None)
    shown = [repr(client), str(vars(client).get("system"))]
    call = Call(
        "POST", "/x", 0.3, {"p": SecretStr(KEY)}, {"x-key": SecretStr(HEADER_KEY)}, form={"secret": SecretStr(FORM_KEY)}
    )
    try:
        answer = await client.exchange(call)
        shown += [repr(answer), told(client.refusal(answer))]
    except ProviderError as error:
        shown.append(told(error))
        frames = []
        trace = error.__traceback__
        while trace is not None:  # what a log with local variables would show
            frames += [
                repr(value)
                for name, value in trace.tb_frame.f_locals.items()
                if trace.tb_frame.f_code.co_filename.endswith("http/client.py")
            ]
            trace = trace.tb_next
        shown += frames
    shown += [repr(call), caplog.text, *(str(vars(record)) for record in caplog.records)]
    for secret in SECRETS:
        assert secret not in "\n".join(shown)


async def test_a_key_that_a_vendor_quotes_as_it_stood_in_the_url_is_masked(vendor, open_client):
    client = open_client(vendor.url, params={"api_key": SecretStr("key/with+signs=")})
    vendor.answer(reply(400, {"message": "can't read /x?api_key=key%2Fwith%2Bsigns%3D of key/with+signs="}))
    assert (await failure(client)).detail == "can't read /x?api_key=*** of ***"


async def test_an_unreachable_host_with_a_key_in_the_query(open_client):
    client = open_client("http://127.0.0.1:1", params={"api_key": SecretStr(KEY)})
    error = await failure(client)
    assert KEY not in told(error)
    assert not error.maybe_sent


async def test_a_name_that_does_not_exist(open_client):
    error = await failure(open_client("https://nobody.invalid"))
    assert (error.reason, error.transient, error.maybe_sent) == ("dns", True, False)


@pytest.mark.parametrize("key", ["line\nbreak", "ümlaut", "tab\t"])
def test_a_key_that_was_pasted_wrongly_is_a_configuration_error_without_the_key(key):
    with pytest.raises(ConfigurationError) as caught:
        RemoteClient("vendor", "https://x.example", error=ProviderError, headers={"x-api-key": SecretStr(key)})
    assert key not in told(caught.value)
    assert "x-api-key" in str(caught.value)
