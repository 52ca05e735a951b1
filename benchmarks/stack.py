"""A whole installation in a home of its own: the emulators, and ``enrichment up`` beside them."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.configuration import write_configuration
from benchmarks.crm import PEOPLE, EmulatedCrms
from enrichment_dagster.composition import Stores, open_stores
from enrichment_dagster.settings import CONFIG_VARIABLE, HOME_VARIABLE, Settings, load_settings
from enrichment_dagster.supervise.environment import Ports, process_environment, sandbox_variables
from enrichment_dagster.supervise.guard import Guard
from enrichment_dagster.supervise.process import Probe, ProcessSpec, SupervisedProcess, http_ok, port_is_free

LATENCY_MS = 50.0
"""What every emulated vendor call takes."""

_STEP = 10
_TRIES = 50


@dataclass(slots=True)
class Installation:
    """Where an installation lives and listens."""

    home: Path
    ports: Ports
    guard: Guard
    sandbox: SupervisedProcess
    crms: EmulatedCrms
    up: SupervisedProcess | None = None

    @property
    def settings(self) -> Settings:
        """Return its settings."""
        return load_settings(_environment(self.home, self.ports))

    @property
    def pid(self) -> int:
        """Return the supervisor's process: everything but the emulators descends from it."""
        return _pid(self.up)

    @property
    def sandbox_pid(self) -> int:
        """Return the emulators' process."""
        return _pid(self.sandbox)

    @contextmanager
    def stores(self) -> Iterator[Stores]:
        """Open the operational store."""
        stores = open_stores(self.settings)
        try:
            yield stores
        finally:
            stores.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run ``enrichment up`` in this home: gateway, code server, daemon, webserver."""
        log = self.home / "logs" / "up.log"
        begin = log.stat().st_size if log.exists() else 0
        argv = ["-c", "from enrichment_dagster.cli import main; main()", "up", "--json", *_port_options(self.ports)]
        ready = _says(log, b'"dagster"', begin)
        self.up = _start("up", argv, self.home, self.ports, self.guard, ready, log=log, stop_seconds=60)
        try:
            yield
        finally:
            self.up.stop()
            self.up = None


@contextmanager
def installation(
    base_port: int, *, keep: bool = False, latency_ms: float = LATENCY_MS, companies: int | None = None
) -> Iterator[Installation]:
    """Make a home and start the emulators; removes the home at the end."""
    home, ports = Path(tempfile.mkdtemp(prefix="enrichment-bench-")), free_ports(base_port)
    write_configuration(_configuration(home).parent)
    argv = ["-m", "enrichment_dagster.sandbox", "--port", str(ports.sandbox), "--people", str(PEOPLE)]
    argv += [] if companies is None else ["--companies", str(companies)]
    guard = Guard()
    guard.start()
    sandbox = _start("sandbox", argv, home, ports, guard, http_ok(f"{ports.sandbox_url}/_sandbox/health"))
    crms = EmulatedCrms(ports)
    try:
        crms.set_latency(latency_ms)
        yield Installation(home, ports, guard, sandbox, crms)
    finally:
        crms.close()
        sandbox.stop()
        guard.stop()
        if keep:
            print(f"the home is kept: {home}", flush=True)
        else:
            shutil.rmtree(home, ignore_errors=True)


def free_ports(base: int) -> Ports:
    """Return four free ports in a row, the first of them at ``base`` if possible."""
    for first in range(base, base + _STEP * _TRIES, _STEP):
        if all(port_is_free("127.0.0.1", first + offset) for offset in range(4)):
            return Ports(gateway=first, webserver=first + 1, code_server=first + 2, sandbox=first + 3)
    raise RuntimeError(f"no four free ports from {base} on; choose others with --base-port")


def _configuration(home: Path) -> Path:
    return home / "project" / "enrichment.yaml"


def _environment(home: Path, ports: Ports) -> dict[str, str]:
    places = {HOME_VARIABLE: str(home), CONFIG_VARIABLE: str(_configuration(home))}
    return process_environment(home, ports, {**sandbox_variables(ports), **places})


def _port_options(ports: Ports) -> list[str]:
    chosen = {
        "--gateway-port": ports.gateway,
        "--webserver-port": ports.webserver,
        "--code-server-port": ports.code_server,
        "--sandbox-port": ports.sandbox,
    }
    return [word for name, port in chosen.items() for word in (name, str(port))]


def _start(
    name: str,
    argv: list[str],
    home: Path,
    ports: Ports,
    guard: Guard,
    ready: Probe,
    *,
    log: Path | None = None,
    stop_seconds: float = 15.0,
) -> SupervisedProcess:
    path = log or home / "logs" / f"{name}.log"
    spec = ProcessSpec(name, [sys.executable, *argv], _environment(home, ports), path, ready, 120.0, stop_seconds)
    process = SupervisedProcess(spec)
    begun = time.monotonic()
    guard.protect({process.start()})  # nothing is left behind, however we end
    if not process.wait_ready():
        process.stop()
        said = path.read_text(encoding="utf-8", errors="replace")[-2_000:]
        raise RuntimeError(f"{name} did not start:\n{said}")
    print(f"{name} is ready after {time.monotonic() - begun:.1f} s", flush=True)
    return process


def _says(log: Path, word: bytes, begin: int) -> Probe:
    return lambda: log.exists() and word in log.read_bytes()[begin:]


def _pid(process: SupervisedProcess | None) -> int:
    if process is None or process.process is None:
        raise RuntimeError("it does not run")
    return process.process.pid
