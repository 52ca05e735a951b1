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
SILENT_SECONDS = 75
"""How long a connection may say nothing, a new one (senders open some in advance) like one that was kept.

Longer than the pause between two deliveries of a busy sender.
"""

HEAD_SECONDS = 10.0
"""How long the head of a request may take from its first byte on."""

MAX_HEAD_BYTES = 65_536
"""How much of a head is taken while its end is not there; the parser would take any amount."""

_refusals = RefusalLog(SystemClock())


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None
    _in_head = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, for whatever it is good."""
        if len(self.connections) >= MAX_CONNECTIONS:
            self.app = _come_again
        super().connection_made(transport)
        self._close_after(SILENT_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._close_after(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come; nearly always that is a whole head, for which no timer is needed."""
        super().data_received(data)
        if self._in_head:
            self._wait_for_head(len(data))

    def on_message_begin(self) -> None:
        """See the first byte of a request."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """See that a request's head is complete."""
        self._in_head = False
        if self._deadline is not None:
            self._close_after(None)
        super().on_headers_complete()

    def _wait_for_head(self, more_bytes: int) -> None:
        first = self._head_bytes == 0
        self._head_bytes += more_bytes
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.close()
        elif first:
            self._close_after(HEAD_SECONDS)

    def _close_after(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.close)


async def _come_again(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a request; senders of webhooks take a 503 for what it is, whatever they make of a 429."""
    _refusals.note("any", "too_many_connections", f"{MAX_CONNECTIONS} are open")
    status, seconds = (429, "1") if scope["path"] == ENRICH_PATH else (503, "5")
    headers = {"retry-after": seconds, "connection": "close"}
    response = failed(status, "overloaded", "too many connections; come again", headers)
    await response(scope, receive, send)
