"""One supervised process: start, probe, restart with patience, stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from enrichment_dagster.supervise.guardian import end_groups, group_lives

_FIRST_RESTART_SECONDS = 0.5
_LONGEST_RESTART_SECONDS = 15.0
_STEADY_SECONDS = 30.0
"""A process that has lived this long starts over with the shortest restart delay."""

_GROUP_GRACE_SECONDS = 3.0
_KEPT_EXIT_CODES = 100
_PROBE_SECONDS = 0.1
_PRIORITY_TRIES, _PRIORITY_PAUSE_SECONDS = 10, 0.11

Probe = Callable[[], bool]
Moment = Callable[[], float]


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
    niceness: int = 0  # higher = yields to the others when the processor is short; its children inherit it


def yield_to_others(session: int, niceness: int) -> None:
    """Let a session's first process, and all that it will start, have the processor after the others.

    Where Linux groups tasks by session (``/proc/sys/kernel/sched_autogroup_enabled``: the default of desktops and of
    many virtual machines), niceness counts only inside the session; the session has a niceness of its own
    (sched(7), "The autogroup feature").
    """
    usual = os.getpriority(os.PRIO_PROCESS, session)  # only root may go below it
    os.setpriority(os.PRIO_PROCESS, session, max(usual, niceness))
    group = Path(f"/proc/{session}/autogroup")
    for _ in range(_PRIORITY_TRIES):
        try:
            if group.exists():
                group.write_text(str(niceness))
            return
        except BlockingIOError:  # for all processes of the machine together, ten changes a second are allowed
            time.sleep(_PRIORITY_PAUSE_SECONDS)
        except OSError:  # it has ended, or may not: it works all the same
            return


def restart_delay(failures_in_a_row: int) -> float:
    """Return how long to wait before a restart: a process that falls at once must not keep the machine busy."""
    return min(_LONGEST_RESTART_SECONDS, _FIRST_RESTART_SECONDS * float(2 ** min(failures_in_a_row - 1, 16)))


@dataclass(slots=True)
class SupervisedProcess:
    """A running (or fallen) process."""

    spec: ProcessSpec
    moment: Moment = time.monotonic
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restarts: int = 0
    failures_in_a_row: int = 0
    restart_at: float | None = None
    exit_codes: deque[int] = field(default_factory=lambda: deque(maxlen=_KEPT_EXIT_CODES))
    groups: set[int] = field(default_factory=set)

    def start(self) -> int:
        """Start it in a process group of its own, which is returned; its output goes to its log file."""
        self.spec.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.spec.log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own commands
                list(self.spec.argv),
                env=dict(self.spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the supervisor only, which stops the others in order
            )
        if self.spec.niceness:
            yield_to_others(self.process.pid, self.spec.niceness)
        self.started_at = self.moment()
        self.groups = {group for group in self.groups if group_lives(group)} | {self.process.pid}
        return self.process.pid

    def is_alive(self) -> bool:
        """Say whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def wait_ready(self, interrupted: Callable[[], bool] = lambda: False) -> bool:
        """Wait until it answers; False when it ended, takes too long, or somebody interrupts."""
        give_up = time.monotonic() + self.spec.ready_seconds
        while time.monotonic() < give_up and not interrupted():
            if not self.is_alive():
                return False
            if self.spec.ready():
                return True
            time.sleep(_PROBE_SECONDS)
        return False

    def watch(self) -> str:
        """Restart it when it is down and its delay is over; returns what happened, in words, or an empty text."""
        if self.is_alive():
            return ""
        if self.restart_at is None:
            return self._note_death()
        if self.moment() < self.restart_at:
            return ""
        self.restart_at = None
        self.restarts += 1
        self.start()
        return f"{self.spec.name} restarted"

    def _note_death(self) -> str:
        code = self.process.returncode if self.process is not None else 0
        self.exit_codes.append(code)
        steady = self.moment() - self.started_at > _STEADY_SECONDS
        self.failures_in_a_row = 1 if steady else self.failures_in_a_row + 1
        delay = restart_delay(self.failures_in_a_row)
        self.restart_at = self.moment() + delay
        return f"{self.spec.name} ended with code {code}; restart in {delay:g} s (log: {self.spec.log_path})"

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.process is not None and self.is_alive():
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Wait for its end, after ``stop_seconds`` by force; then end what it left in its groups (runs)."""
        if self.process is None:
            return
        self.ask_to_stop()
        try:
            self.process.wait(self.spec.stop_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        end_groups(self.groups, _GROUP_GRACE_SECONDS)


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
