"""One supervised process: start, probe, restart with patience, stop."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

_PR_SET_PDEATHSIG = 1
_FIRST_RESTART_SECONDS = 0.5
_LONGEST_RESTART_SECONDS = 15.0
_STEADY_SECONDS = 30.0
"""A process that has lived this long starts over with the shortest restart delay."""

Probe = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run and how to tell that it is ready."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path
    ready: Probe
    ready_seconds: float = 60.0
    stop_seconds: float = 15.0


@dataclass(slots=True)
class SupervisedProcess:
    """A running (or fallen) process."""

    spec: ProcessSpec
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restarts: int = 0
    failures_in_a_row: int = 0
    restart_at: float = 0.0
    exit_codes: list[int] = field(default_factory=list)

    def start(self) -> None:
        """Start it; its output goes to its log file."""
        self.spec.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.spec.log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own commands
                list(self.spec.argv),
                env=dict(self.spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the supervisor only, which stops the others in order
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )
        self.started_at = time.monotonic()

    def is_alive(self) -> bool:
        """Say whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def wait_ready(self) -> bool:
        """Wait until it answers; False when it ended or takes too long."""
        give_up = time.monotonic() + self.spec.ready_seconds
        while time.monotonic() < give_up:
            if not self.is_alive():
                return False
            if self.spec.ready():
                return True
            time.sleep(0.1)
        return False

    def watch(self, now: float) -> str:
        """Restart it when it is down and its delay is over; returns what happened, in words, or an empty text."""
        if self.is_alive():
            return ""
        if not self.restart_at:
            return self._note_death(now)
        if now < self.restart_at:
            return ""
        self.restart_at = 0.0
        self.restarts += 1
        self.start()
        return f"{self.spec.name} restarted"

    def _note_death(self, now: float) -> str:
        code = self.process.returncode if self.process is not None else 0
        self.exit_codes.append(code)
        steady = now - self.started_at > _STEADY_SECONDS
        self.failures_in_a_row = 1 if steady else self.failures_in_a_row + 1
        delay = min(_LONGEST_RESTART_SECONDS, _FIRST_RESTART_SECONDS * 2 ** (self.failures_in_a_row - 1))
        self.restart_at = now + delay
        return f"{self.spec.name} ended with code {code}; restart in {delay:g} s (log: {self.spec.log_path})"

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.is_alive():
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Wait for its end, after ``stop_seconds`` by force."""
        if self.process is None:
            return
        self.ask_to_stop()
        try:
            self.process.wait(self.spec.stop_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _die_with_parent() -> None:
    """Have the kernel end this process when the supervisor dies, however it dies: no orphan keeps a port."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def http_ok(url: str) -> Probe:
    """Return a probe: the URL answers with 200."""

    def probe() -> bool:
        try:
            with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback URL
                return bool(answer.status == 200)  # noqa: PLR2004
        except (URLError, OSError):
            return False

    return probe


def port_open(host: str, port: int) -> Probe:
    """Return a probe: the port takes connections."""

    def probe() -> bool:
        with socket.socket() as sock:
            sock.settimeout(1)
            return sock.connect_ex((host, port)) == 0

    return probe


def port_is_free(host: str, port: int) -> bool:
    """Say whether nothing listens there."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
    return True
