"""Runs the sandbox on the loopback address: in a thread for tests, or as a process of its own."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
import uvloop

from enrichment_dagster.sandbox.app import SandboxApp
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.state import SandboxState
from enrichment_dagster.sandbox.world import World

HOST = "127.0.0.1"
_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that answers at `url`. Its parts may be read by a test in the same process."""

    url: str
    state: SandboxState

    @property
    def world(self) -> World:
        """The people and companies behind the answers."""
        return self.state.world


@contextmanager
def running_sandbox(config: SandboxConfig | None = None) -> Generator[RunningSandbox]:
    """A sandbox in a thread of this process, on a free port."""
    state = SandboxState(config or SandboxConfig())
    listener = _listen(0)
    url = _url(listener)
    started = threading.Event()
    server = _Server(SandboxApp(state), started.set, handle_signals=False)
    thread = threading.Thread(target=_run, args=(server, listener), name="sandbox", daemon=True)
    thread.start()
    try:
        if not started.wait(_START_SECONDS):
            raise RuntimeError("the sandbox did not start")
        yield RunningSandbox(url, state)
    finally:
        server.stop()
        thread.join(_START_SECONDS)


def serve(config: SandboxConfig, port: int, on_ready: Callable[[str], None]) -> None:
    """Run the sandbox in this process until SIGTERM or SIGINT."""
    listener = _listen(port)
    url = _url(listener)
    server = _Server(SandboxApp(SandboxState(config)), lambda: on_ready(url), handle_signals=True)
    _run(server, listener)


class _Server(uvicorn.Server):
    """Says when it is ready, and ends with status 0 on a signal where uvicorn would raise the signal again."""

    def __init__(self, app: SandboxApp, on_ready: Callable[[], None], *, handle_signals: bool) -> None:
        super().__init__(_config(app))
        self._sandbox = app
        self._on_ready = on_ready
        self._handle_signals = handle_signals

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        await self._sandbox.close()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        if self._handle_signals:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """Answer what is in flight for at most a second, then end."""
        self.should_exit = True


def _run(server: _Server, listener: socket.socket) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve([listener]))


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    return listener


def _url(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


def _config(app: SandboxApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="critical",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
