"""Where a client may connect."""

import socket
from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment_dagster.errors import ConfigurationError, ProviderError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.http.egress import EgressRefusedError, may_connect, parse_origin


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://api.example.com", "/v1/x", "https://api.example.com/v1/x?q=1"),
        ("https://api.example.com:8443/", "/v1", "https://api.example.com:8443/v1?q=1"),
        ("http://127.0.0.1:8080/apollo", "/v1", "http://127.0.0.1:8080/apollo/v1?q=1"),
        ("http://[::1]:8080", "/v1", "http://[::1]:8080/v1?q=1"),
        ("http://10.0.0.7", "/v1", "http://10.0.0.7/v1?q=1"),
        ("http://localhost:1", "/v1", "http://localhost:1/v1?q=1"),
        ("https://api.example.com/hook", "", "https://api.example.com/hook?q=1"),
    ],
)
def test_urls(base, path, url):
    assert str(parse_origin("vendor", base).url(path, "q=1")) == url


@pytest.mark.parametrize(
    "base",
    ["", "ftp://x.example", "https://", "api.example.com", "https://user:pass@x.example", "https://x.example/?k=1",
     "https://x.example/#a", "http://api.example.com", "http://8.8.8.8", "https://x.example:99999999"],
)  # fmt: skip
def test_base_urls_that_are_refused(base):
    with pytest.raises(ConfigurationError):
        parse_origin("vendor", base)


@pytest.mark.parametrize(
    "path",
    ["x", "//evil.example/x", "@evil.example", "/a/../b", "/a/./b", "/.", "/a b", "/a?b", "/a#b", "/a\r\nHost: x",
     "\\\\x"],
)  # fmt: skip
def test_paths_that_are_refused(path):
    with pytest.raises(EgressRefusedError):
        parse_origin("vendor", "https://api.example.com").url(path)


@given(st.text())
def test_no_path_leads_to_another_host(path):
    with suppress(EgressRefusedError, httpx.InvalidURL):
        url = parse_origin("vendor", "https://api.example.com").url(path)
        assert (url.scheme, url.host, url.port) == ("https", "api.example.com", None)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("8.8.8.8", True), ("2606:4700::1111", True), ("127.0.0.1", True), ("::1", True), ("10.1.2.3", False),
     ("192.168.0.1", False), ("169.254.169.254", False), ("fe80::1%eth0", False), ("fd00::1", False),
     ("::ffff:10.0.0.1", False), ("100.64.0.1", False), ("0.0.0.0", False)],
)  # fmt: skip
def test_addresses(address, allowed):
    assert may_connect(address) is allowed


async def test_a_public_name_of_a_private_address_is_not_connected_to(monkeypatch):
    def resolve(*_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with RemoteClients() as clients:
        client = clients.open("vendor", "https://rebound.example", error=ProviderError)
        with pytest.raises(ProviderError) as caught:
            await client.request("GET", "/x", timeout_seconds=2)
    assert (caught.value.reason, caught.value.transient, caught.value.maybe_sent) == ("egress_refused", False, False)
