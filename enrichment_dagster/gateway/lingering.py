"""An answer that is given before its request has ended.

To close the connection at once would reset it, and most clients would report that and never read the answer: a server
goes on reading for a while what it throws away ("lingering close").
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_AT_MOST_SECONDS = 10.0
_SILENT_SECONDS = 1.0  # of a client that sends nothing more
_AT_MOST_BYTES = 64_000_000


class LingeringResponse(Response):
    """Answers at once, and closes when the rest of the request has come, or too much of it, or nothing more comes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; its end follows when nothing is left to be read."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_AT_MOST_SECONDS):
                await _discard(receive)
        await send({"type": "http.response.body", "body": b""})


async def _discard(receive: Receive) -> None:
    read = 0
    while read < _AT_MOST_BYTES:
        message = await asyncio.wait_for(receive(), _SILENT_SECONDS)
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
        read += len(message.get("body", b""))
