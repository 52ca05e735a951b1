"""One running demo for all tests that look at the whole: ``enrichment demo`` on free ports, in a home of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from support.environment import scrub

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LEADS = 6
_START_SECONDS = 150.0
_STOP_SECONDS = 30.0
_PORTS = ("gateway", "webserver", "code-server", "sandbox")


@dataclass(slots=True)
class Demo:
    """A demo that runs, and what it has printed so far."""

    home: Path
    ports: dict[str, int]
    sent: list[dict[str, Any]] = field(default_factory=list)
    routed: list[dict[str, Any]] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)
    other: list[str] = field(default_factory=list)
    gone: bool = False

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    @property
    def environment(self) -> dict[str, str]:
        """What a reader's second terminal has."""
        found = dict(os.environ)
        scrub(found)
        path = os.pathsep.join((str(BIN), os.environ["PATH"]))
        return {**found, "PATH": path, "ENRICHMENT_HOME": str(self.home), "NO_COLOR": "1"}

    def run(self, command: Sequence[str], seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
        give_up = time.monotonic() + seconds
        while not condition():
            assert not self.gone, "the demo has ended:\n" + "\n".join(self.other[-20:])
            assert time.monotonic() < give_up, f"{what} did not come about; logs are in {self.home / 'logs'}"
            time.sleep(0.1)

    def wait_for_ended(self, count: int, seconds: float = 150.0) -> None:
        self.wait_for(lambda: len(self.ended) >= count, f"the end of {count} leads", seconds)

    def listen(self, lines: IO[str]) -> None:
        for line in lines:
            self._hear(line.rstrip())
        self.gone = True

    def _hear(self, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            self.other.append(line)
            return
        for name, value in said.items():
            if name == "addresses":
                self.addresses = value
            else:
                {"sent": self.sent, "routed": self.routed, "ended": self.ended}[name].append(value)


@contextmanager
def running_demo(home: Path) -> Iterator[Demo]:
    demo = Demo(home, dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True)))
    ports = [word for name, port in demo.ports.items() for word in (f"--{name}-port", str(port))]
    command = [str(BIN / "enrichment"), "demo", "--json", "--leads", str(LEADS), "--rate", "2", *ports]
    process = subprocess.Popen(
        command, cwd=ROOT, env=demo.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines = process.stdout
    reader = threading.Thread(target=demo.listen, args=[lines], daemon=True)
    reader.start()
    try:
        demo.wait_for(lambda: demo.addresses, "the start", _START_SECONDS)
        yield demo
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        finally:
            process.kill()
            reader.join(5)
            lines.close()


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
