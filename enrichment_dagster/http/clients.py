"""All clients of a process: one per remote system, closed together."""

from __future__ import annotations

from typing import Any, Self

from enrichment_dagster.errors import RemoteError
from enrichment_dagster.http.client import RemoteClient


class RemoteClients:
    """Opens clients and closes them together. Use one per event loop, as an async context manager."""

    def __init__(self) -> None:
        self._opened: list[RemoteClient] = []

    async def __aenter__(self) -> Self:
        """Return itself; nothing is connected yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all clients."""
        await self.aclose()

    def open(self, system: str, base_url: str, *, error: type[RemoteError], **options: Any) -> RemoteClient:
        """Return a new client with a pool of its own (``options`` are those of ``RemoteClient``).

        Raises:
            ConfigurationError: the base URL or a key can't be used.
        """
        client = RemoteClient(system, base_url, error=error, **options)
        self._opened.append(client)
        return client

    async def aclose(self) -> None:
        """Close all pools; the clients can't be used after it."""
        while self._opened:
            await self._opened.pop().aclose()
