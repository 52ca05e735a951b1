"""Several processes that share one port: started together, replaced when one dies, ended together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from enrichment_dagster.supervise.process import restart_delay

_LOOK_SECONDS = 0.2
_STEADY_SECONDS = 30.0
_STOP_SECONDS = 20.0
_BACKLOG = 2_048

Tell = Callable[[str], None]


@dataclass(slots=True)
class _Worker:
    number: int
    process: subprocess.Popen[bytes]
    started_at: float
    failures: int = 0
    restart_at: float | None = None


@dataclass(slots=True)
class Workers:
    """The processes. ``command`` is told the socket, the lifeline and its own number by three options.

    The lifeline is a pipe of which only this process has the other end: a worker reads its end when this one dies, by
    whatever cause, and ends as well; else workers without a master would keep the port.
    """

    command: Sequence[str]
    count: int
    tell: Tell
    _workers: list[_Worker] = field(default_factory=list)

    def run(self, listener: socket.socket, stop: threading.Event) -> None:
        """Keep the workers running until told to stop; then end them in good order."""
        reading, writing = os.pipe()
        try:
            self._workers = [self._start(number, listener, reading) for number in range(1, self.count + 1)]
            while not stop.wait(_LOOK_SECONDS):
                self._workers = [self._look(worker, listener, reading) for worker in self._workers]
        finally:
            self._end()
            os.close(reading)
            os.close(writing)

    def _start(self, number: int, listener: socket.socket, lifeline: int, failures: int = 0) -> _Worker:
        shared = (listener.fileno(), lifeline)
        options = ["--listener", str(shared[0]), "--lifeline", str(shared[1]), "--worker", str(number)]
        process = subprocess.Popen([*self.command, *options], stdin=subprocess.DEVNULL, pass_fds=shared)  # noqa: S603
        return _Worker(number, process, time.monotonic(), failures)

    def _look(self, worker: _Worker, listener: socket.socket, lifeline: int) -> _Worker:
        code = worker.process.poll()
        if code is None:
            return worker
        now = time.monotonic()
        if worker.restart_at is None:
            worker.failures = 1 if now - worker.started_at > _STEADY_SECONDS else worker.failures + 1
            worker.restart_at = now + restart_delay(worker.failures)
            self.tell(f"worker {worker.number} ended with code {code}; another one takes its place")
        if now < worker.restart_at:
            return worker
        return self._start(worker.number, listener, lifeline, worker.failures)

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.send_signal(signal.SIGTERM)
        give_up = time.monotonic() + _STOP_SECONDS
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


def listen(host: str, port: int) -> socket.socket:
    """Open the port that workers share; 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener


def end_with(lifeline: int) -> None:
    """Send this process SIGTERM when the one that started it is gone."""

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
