"""Servers of POST /enrich alone, without Dagster: the gateway in a home of its own, and the plain service."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.configuration import write_configuration
from benchmarks.stack import Installation
from benchmarks.usage import cpu_seconds
from enrichment_dagster.settings import CONFIG_VARIABLE, HOME_VARIABLE
from enrichment_dagster.supervise.environment import process_environment, sandbox_variables
from enrichment_dagster.supervise.process import ProcessSpec, SupervisedProcess, http_ok, port_is_free

Change = Callable[[dict[str, Any]], None]
"""Alters a configuration in place."""

_FIRST_OFFSET = 4  # of its ports from the installation's first one
_PORTS = 200
_START_SECONDS = 60.0
_SETTLE_SECONDS = 2.0  # it is ready before all is imported that it needs


@dataclass(frozen=True, slots=True)
class Server:
    """Something that answers POST /enrich."""

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return the processor seconds that it has used, those of its workers included."""
        return sum(cpu_seconds(self.pid).values())


@contextmanager
def gateway(place: Installation, name: str, *, workers: int = 1, change: Change | None = None) -> Iterator[Server]:
    """Run the gateway with empty stores; a change applies to its configuration."""
    home = place.home / name
    config = write_configuration(home / "project")
    if change is not None:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        change(content)
        config.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    command = ["-m", "enrichment_dagster.gateway.main", "--workers", str(workers), "--port"]
    own = {HOME_VARIABLE: str(home), CONFIG_VARIABLE: str(config)}
    with _running(place, home, name, command, own) as server:
        time.sleep(_SETTLE_SECONDS)
        yield server


@contextmanager
def plain_service(place: Installation) -> Iterator[Server]:
    """Run the comparison."""
    with _running(place, place.home, "plain", ["-m", "benchmarks.plain_service"], {}) as server:
        yield server


@contextmanager
def _running(
    place: Installation, home: Path, name: str, command: Sequence[str], own: Mapping[str, str]
) -> Iterator[Server]:
    environment = process_environment(home, place.ports, {**sandbox_variables(place.ports), **own})
    environment.pop("DAGSTER_HOME")  # there is no Dagster to report to
    port = _free_port(place.ports.gateway + _FIRST_OFFSET)
    log = place.home / "logs" / f"{name}.log"
    ready = http_ok(f"http://127.0.0.1:{port}/healthz")
    spec = ProcessSpec(name, [sys.executable, *command, str(port)], environment, log, ready, _START_SECONDS)
    process = _start(place, spec)
    try:
        yield Server(name, port, process.process.pid if process.process else 0)
    finally:
        process.stop()


def _start(place: Installation, spec: ProcessSpec) -> SupervisedProcess:
    process, begun = SupervisedProcess(spec), time.monotonic()
    place.guard.protect({process.start()})
    if not process.wait_ready():
        process.stop()
        said = spec.log_path.read_text(encoding="utf-8", errors="replace")[-2_000:]
        raise RuntimeError(f"{spec.name} did not start:\n{said}")
    print(f"{spec.name} is ready after {time.monotonic() - begun:.1f} s", flush=True)
    return process


def _free_port(first: int) -> int:
    for port in range(first, first + _PORTS):
        if port_is_free("127.0.0.1", port):
            return port
    raise RuntimeError(f"no free port from {first} on; choose others with --base-port")
