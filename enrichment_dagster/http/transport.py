"""The pool of connections that one client uses: aiohttp, without what it does of its own accord.

httpx's requests and responses around it cost 0.3 ms of processor time a call, as much again as the call itself.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import aiohttp
import certifi
from yarl import URL

from enrichment_dagster.http.egress import GuardedResolver

_KEEP_ALIVE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as it goes out, secrets and all."""

    method: str
    url: URL = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(default=b"", repr=False)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Return the TLS settings that all clients share: reading the certificates costs 20 ms."""
    return ssl.create_default_context(cafile=certifi.where())


class Transport:
    """Sends requests over kept connections; the pool comes into being with the first, on the running event loop."""

    def __init__(self, max_connections: int, resolver: type[GuardedResolver] = GuardedResolver) -> None:
        self._max_connections = max_connections
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: WireRequest, connect_seconds: float | None = None) -> aiohttp.ClientResponse:
        """Send a request and return its response once the headers are there; its body is as it came, compressed or not.

        No redirect is followed. ``connect_seconds`` is the time for getting a connection.
        """
        session = self._session or self._open()
        return await session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.content or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(connect=connect_seconds),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._max_connections,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            ssl=_tls(),
            resolver=self._resolver(),
        )
        session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
        )
        # aiohttp sends a GET again by itself when a kept connection turns out dead. Calls cost money and only the
        # engine repeats them; there is no public switch (aiohttp's own TestClient sets this one).
        session._retry_connection = False
        self._session = session
        return session
