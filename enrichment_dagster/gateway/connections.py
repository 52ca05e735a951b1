"""The connections of a process: so many are served, what comes on top is told to come again, silent ones are closed.

uvicorn's own limit refuses every request as soon as there are too many connections, also those of the first ones, and
waits for a request for ever.
"""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.gateway.answers import failed
from enrichment_dagster.gateway.api.routes import ENRICH_PATH
from enrichment_dagster.gateway.refusals import RefusalLog

MAX_CONNECTIONS = 1_000
HEAD_SECONDS = 10.0
"""How long the head of a request may take, from the connection's first moment or the request's first byte."""

MAX_HEAD_BYTES = 65_536
"""How much of a head is taken while its end is not there; the parser would take any amount."""

_refusals = RefusalLog(SystemClock())


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _waiting: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, for whatever it is good."""
        if len(self.connections) >= MAX_CONNECTIONS:
            self.app = _come_again
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._waiting is not None:
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.close()
                return
            self._head_bytes += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """See the first byte of a request."""
        super().on_message_begin()
        if self._waiting is None:
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        """See that a request's head is complete."""
        self._head_is_there()
        super().on_headers_complete()

    def _wait_for_head(self) -> None:
        self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_is_there(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting, self._head_bytes = None, 0


async def _come_again(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a request; senders of webhooks take a 503 for what it is, whatever they make of a 429."""
    _refusals.note("any", "too_many_connections", f"{MAX_CONNECTIONS} are open")
    status, seconds = (429, "1") if scope["path"] == ENRICH_PATH else (503, "5")
    headers = {"retry-after": seconds, "connection": "close"}
    response = failed(status, "overloaded", "too many connections; come again", headers)
    await response(scope, receive, send)
