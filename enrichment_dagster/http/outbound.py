"""Posting to URLs that others named: to public addresses only, without redirects, and nothing of the reply is read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
import httpx

from enrichment_dagster.errors import PayloadError, RemoteError
from enrichment_dagster.http.egress import GuardedResolver, PublicResolver, is_public
from enrichment_dagster.http.failures import classify
from enrichment_dagster.http.retry_after import parse_retry_after
from enrichment_dagster.http.transport import build_transport

MAX_URL = 2_000
_MAX_CONNECTIONS = 20
_MAX_PORT = 65_535
_HEADERS = {"content-type": "application/json", "user-agent": "enrichment-dagster", "connection": "close"}
_EXPECTED = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, TimeoutError, ValueError)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a post was answered."""

    status: int
    retry_after_seconds: float | None


def checked_target(text: str, *, allow_loopback: bool) -> str:
    """Return a URL that may be posted to, as far as its text tells; what its name resolves to is looked at later.

    Raises:
        PayloadError: ``bad_callback_url``.
    """
    try:
        url = httpx.URL(text)
        port = url.port
    except (httpx.InvalidURL, ValueError):
        raise _bad("it is not a URL") from None
    if (
        not url.host
        or url.userinfo
        or url.fragment
        or len(text) > MAX_URL
        or not text.isascii()
        or not 0 < (port or 1) <= _MAX_PORT
    ):
        raise _bad("it must name a host, without user, password or fragment")
    if allow_loopback and url.host in _LOOPBACK and url.scheme in {"http", "https"}:
        return str(url)
    if url.scheme != "https":
        raise _bad("it must begin with https://")
    if not is_public(url.host):
        raise _bad("it leads to a private network")
    return str(url)


def _bad(why: str) -> PayloadError:
    return PayloadError("bad_callback_url", f"callback_url can't be posted to: {why}")


class Outbound:
    """Posts bodies to callers' URLs. Use one per event loop."""

    def __init__(self, *, allow_loopback: bool = False) -> None:
        resolver = GuardedResolver if allow_loopback else PublicResolver
        self._transport = build_transport(_MAX_CONNECTIONS, resolver)
        self._allow_loopback = allow_loopback

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> Receipt:
        """Post a JSON body; whatever the status, it is the receipt.

        Raises:
            RemoteError: nobody answered.
            PayloadError: the URL may not be posted to.
        """
        target = checked_target(url, allow_loopback=self._allow_loopback)
        try:
            async with asyncio.timeout(timeout_seconds):
                request = httpx.Request("POST", target, headers={**_HEADERS, **headers}, content=body)
                response = await self._transport.handle_async_request(request)
                await response.aclose()
        except _EXPECTED as error:
            failure = classify(error)
        else:
            wait = parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC))
            return Receipt(response.status_code, wait)
        # Raised here, outside of any handler: no inner exception with the URL hangs on to it.
        raise RemoteError(failure.reason, transient=failure.transient, maybe_sent=failure.maybe_sent)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()
