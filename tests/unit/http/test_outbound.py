"""Posting to URLs that others named."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.loopback import flood, hang, hang_up, loopback, reply

from enrichment_dagster.errors import PayloadError, RemoteError
from enrichment_dagster.http.egress import EgressRefusedError, PublicResolver, is_public
from enrichment_dagster.http.outbound import Outbound, checked_target

BODY = b'{"event_id":"evt_1"}'


@pytest.fixture
async def outbound():
    found = Outbound(allow_loopback=True)
    yield found
    await found.aclose()


async def post(outbound, vendor, path="/hook?tenant=1", seconds=5.0):
    return await outbound.post(f"{vendor.url}{path}", BODY, {"webhook-id": "evt_1"}, seconds)


async def test_a_post_goes_out_as_it_is(outbound):
    async with loopback() as vendor:
        vendor.answer(reply(204))
        receipt = await post(outbound, vendor)
    (seen,) = vendor.requests
    assert (receipt.status, seen.method, seen.path, seen.query) == (204, "POST", "/hook", {"tenant": "1"})
    assert (seen.body, seen.headers["content-type"], seen.headers["webhook-id"]) == (BODY, "application/json", "evt_1")


async def test_a_redirect_is_an_answer_and_not_followed(outbound):
    async with loopback() as vendor:
        vendor.answer(reply(302, location=f"{vendor.url}/elsewhere"))
        assert (await post(outbound, vendor)).status == 302
    assert len(vendor.requests) == 1


async def test_the_wish_to_be_asked_later_is_read(outbound):
    async with loopback() as vendor:
        vendor.answer(reply(429, retry_after="120"))
        assert (await post(outbound, vendor)).retry_after_seconds == 120


async def test_nothing_of_a_large_reply_is_read(outbound):
    async with loopback() as vendor:
        vendor.answer(flood(50, declared=False))
        assert (await post(outbound, vendor)).status == 200


@pytest.mark.parametrize("act", [hang, hang_up])
async def test_no_answer_is_an_error_without_the_url(outbound, act):
    async with loopback() as vendor:
        vendor.answer(act)
        with pytest.raises(RemoteError) as caught:
            await post(outbound, vendor, "/secret-path", 0.2)
    assert caught.value.transient
    assert "secret-path" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"


async def test_a_url_is_looked_at_again_before_it_is_posted_to():
    outbound = Outbound()
    with pytest.raises(PayloadError):
        await outbound.post("https://127.0.0.1/x", BODY, {}, 1.0)
    await outbound.aclose()


async def test_a_name_that_leads_to_a_private_address_is_refused_when_connecting(monkeypatch):
    def resolve(host, port, *_args, **_kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port or 0))]

    outbound = Outbound()
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(RemoteError) as caught:
        await outbound.post("https://rebinding.example.com/x", BODY, {}, 1.0)
    assert caught.value.reason == "egress_refused"
    with pytest.raises(EgressRefusedError):
        await PublicResolver().resolve("rebinding.example.com", 443)
    await outbound.aclose()


@pytest.mark.parametrize(
    ("host", "public"),
    [("8.8.8.8", True), ("2606:4700::1111", True), ("crm.example.com", True), ("127.0.0.1", False), ("::1", False),
     ("10.1.2.3", False), ("169.254.169.254", False), ("100.64.0.1", False), ("fe80::1%eth0", False),
     ("::ffff:192.168.0.1", False), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("224.0.0.1", False),
     ("192.0.0.8", False), ("::ffff:192.0.0.9", False), ("fec0::1", False),
     ("ff02::1", False), ("0.0.0.0", False), ("localhost", False), ("x.localhost", False)],
)  # fmt: skip
def test_public_hosts(host, public):
    assert is_public(host) is public


@given(st.text(max_size=60))
def test_no_text_is_taken_that_is_no_https_url(text):
    try:
        target = checked_target(text, allow_loopback=False)
    except PayloadError:
        return
    assert target.startswith("https://")
