"""The gateway over real sockets: a server in a thread, the real process, and a client that may misbehave."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from enrichment_dagster.gateway.connections import BoundedProtocol

PROJECT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 20.0


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    content: Any


@dataclass
class Client:
    """Sends bytes to a port exactly as told, one connection for each request."""

    port: int

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield connection

    def head(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "host: gateway", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return self.request("POST", path, headers, body)

    def request(self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b"") -> Reply:
        with self.connection() as connection:
            connection.sendall(self.head(method, path, {**headers, "content-length": str(len(body))}) + body)
            return read_reply(connection)


def read_reply(connection: socket.socket) -> Reply:
    """Read one response with a Content-Length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _receive(connection)
    head, _, content = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(content) < int(headers.get("content-length", "0")):
        content += _receive(connection)
    parsed = json.loads(content) if "json" in headers.get("content-type", "") else content
    return Reply(int(first.split()[1]), headers, parsed)


def _receive(connection: socket.socket) -> bytes:
    if not (chunk := connection.recv(65_536)):
        raise ConnectionError("the server closed the connection")
    return chunk


def is_closed(connection: socket.socket) -> bool:
    """Wait until the server closes the connection; fails by the socket's timeout if it does not."""
    with suppress(ConnectionError):
        return connection.recv(1) == b""
    return True


class _Server(uvicorn.Server):
    """Says when it has started, and ends as soon as it is told to and has answered what is under way.

    uvicorn looks ten times a second whether it should end, and waits a tenth of a second when it does.
    """

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(app, "127.0.0.1", 0, http=BoundedProtocol, ws="none", access_log=False, log_config=None)
        super().__init__(config)
        self.has_started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.has_started.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.005)
        await self.lifespan.shutdown()

    def end(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._end.set)


@contextmanager
def serve_in_thread(app: Any) -> Iterator[Client]:
    """Serve an application on a free port with the settings of production."""
    server = _Server(app)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name="gateway")
    thread.start()
    assert server.has_started.wait(TIMEOUT_SECONDS)
    try:
        yield Client(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.end()
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()


class GatewayProcess:
    """``python -m enrichment_dagster.gateway.main`` with stores in a folder of its own."""

    def __init__(self, home: Path, **environ: str) -> None:
        clean = {"PATH": os.environ["PATH"]}
        settings = {
            "ENRICHMENT_CONFIG": str(PROJECT / "enrichment.yaml"),
            "ENRICHMENT_HOME": str(home),
            "PYTHONPATH": str(PROJECT),
        }
        self.log = home / "gateway.log"
        home.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "enrichment_dagster.gateway.main", "--port", "0", "--json-logs"],
                cwd=PROJECT,
                env={**clean, **settings, **environ},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def wait_until_ready(self) -> Client:
        line = self.process.stdout.readline()
        assert line.startswith("gateway ready on http://127.0.0.1:"), self.log.read_text()
        return Client(int(line.rsplit(":", 1)[1]))

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(TIMEOUT_SECONDS)
        self.process.stdout.close()
        return status
