"""All processes of an installation, in the order in which they need each other."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from enrichment_dagster.errors import ConfigurationError, StoreError
from enrichment_dagster.supervise.environment import LOCATION, Ports, prepare_dagster_home, process_environment
from enrichment_dagster.supervise.guard import Guard
from enrichment_dagster.supervise.home_lock import sole_supervisor
from enrichment_dagster.supervise.process import (
    ProcessSpec,
    SupervisedProcess,
    http_ok,
    port_is_free,
    port_open,
)

Tell = Callable[[str], None]
_RUN_NICENESS = 10
_POLL_SECONDS = 0.25
_LOG_LINES = 8


class Interrupted(Exception):  # noqa: N818 - not an error: the operator changed their mind during the start
    """Told to stop before everything was ready."""


class Supervisor:
    """Starts everything, restarts what falls, stops everything."""

    def __init__(
        self,
        *,
        home: Path,
        project: Path,
        ports: Ports,
        variables: Mapping[str, str],
        sandbox: bool,
        tell: Tell,
        interrupted: Callable[[], bool] = lambda: False,
        workers: int = 1,
    ) -> None:
        self.ports = ports
        self.home = home
        self._project = project
        self._sandbox = sandbox
        self._tell = tell
        self._interrupted = interrupted
        self._workers = workers
        self._guard = Guard()
        self._environment = process_environment(home, ports, variables)
        self.processes: dict[str, SupervisedProcess] = {}

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the environment that the processes run in."""
        return self._environment

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start everything; at the end of the block stop everything.

        Raises:
            ConfigurationError: a port is taken.
            StoreError: another supervisor is at work in this home, or a process did not become ready; names its log.
            Interrupted: told to stop during the start.
        """
        with sole_supervisor(self.home):
            self._require_ports()
            workspace = prepare_dagster_home(self.home, self._project, self.ports)
            try:
                self._guard.start()
                self._start_all(workspace)
                yield
            finally:
                self.stop()
                self._guard.stop()

    def watch(self, until: Callable[[], bool]) -> None:
        """Restart what falls until told to stop."""
        while not until():
            self._look()
            time.sleep(_POLL_SECONDS)

    def _look(self) -> None:
        for process in self.processes.values():
            if happened := process.watch():
                self._tell(happened)
        groups = {group for process in self.processes.values() for group in process.groups}
        self._guard.protect(groups)

    def stop(self) -> None:
        """Stop all processes; none is left behind. The emulators last: runs at work still call them."""
        sandbox = self.processes.pop("sandbox", None)
        order = list(reversed(self.processes.values()))
        for process in order:
            process.ask_to_stop()
        for process in (*order, *([sandbox] if sandbox else [])):
            process.stop()
        self.processes.clear()

    def _require_ports(self) -> None:
        wanted = {
            "gateway": self.ports.gateway,
            "webserver": self.ports.webserver,
            "code-server": self.ports.code_server,
        }
        if self._sandbox:
            wanted["sandbox"] = self.ports.sandbox
        taken = [
            f"port {port} is in use ({name}); free it or choose another with --{name}-port"
            for name, port in wanted.items()
            if not port_is_free(self.ports.host, port)
        ]
        if taken:
            raise ConfigurationError(taken, "with ports")

    def _start_all(self, workspace: Path) -> None:
        emulators = [self._sandbox_spec()] if self._sandbox else []
        for spec in emulators:
            self._launch(spec)
        # Two processes that create Dagster's SQLite files at once collide: create them before anyone starts.
        self._run_once("-m", "enrichment_dagster.supervise.prepare")
        self._await(emulators)
        first = [self._code_server(), self._gateway()]
        for spec in first:
            self._launch(spec)
        self._await(first)
        second = [self._webserver(workspace), self._daemon(workspace)]
        for spec in second:
            self._launch(spec)
        self._await(second)

    def _launch(self, spec: ProcessSpec) -> None:
        process = self.processes[spec.name] = SupervisedProcess(spec)
        self._guard.protect({process.start()})

    def _await(self, specs: list[ProcessSpec]) -> None:
        for spec in specs:
            if not self.processes[spec.name].wait_ready(self._interrupted):
                if self._interrupted():
                    raise Interrupted
                raise StoreError(f"{spec.name} did not become ready; see {spec.log_path}\n{_end_of(spec.log_path)}")
            self._tell(f"{spec.name} is ready")

    def _run_once(self, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,  # Ctrl-C must not break it off halfway
        )
        if done.returncode != 0:
            raise StoreError(f"preparing the stores failed:\n{done.stderr.strip()[-2000:]}")

    # --- the processes -----------------------------------------------------------------------------------------------

    def _spec(
        self, name: str, *arguments: str, ready: Callable[[], bool], ready_seconds: float = 60.0, niceness: int = 0
    ) -> ProcessSpec:
        return ProcessSpec(
            name=name,
            argv=[sys.executable, *arguments],
            environment=self._environment,
            log_path=self.home / "logs" / f"{name}.log",
            ready=ready,
            ready_seconds=ready_seconds,
            niceness=niceness,
        )

    def _sandbox_spec(self) -> ProcessSpec:
        return self._spec(
            "sandbox",
            *("-m", "enrichment_dagster.sandbox", "--port", str(self.ports.sandbox)),
            ready=http_ok(f"{self.ports.sandbox_url}/_sandbox/health"),
        )

    def _code_server(self) -> ProcessSpec:
        return self._spec(
            "code-server",
            *("-m", "dagster", "api", "grpc", "--module-name", "enrichment_dagster.definitions"),
            *("--host", self.ports.host, "--port", str(self.ports.code_server), "--location-name", LOCATION),
            ready=port_open(self.ports.host, self.ports.code_server),
            # Its runs use all there is for seconds; senders wait milliseconds for the gateway.
            niceness=_RUN_NICENESS,
        )

    def _gateway(self) -> ProcessSpec:
        return self._spec(
            "gateway",
            *("-m", "enrichment_dagster.gateway.main", "--host", self.ports.host, "--port", str(self.ports.gateway)),
            *(["--workers", str(self._workers)] if self._workers > 1 else []),
            ready=http_ok(f"{self.ports.gateway_url}/healthz"),
        )

    def _webserver(self, workspace: Path) -> ProcessSpec:
        return self._spec(
            "webserver",
            *("-m", "dagster_webserver", "-h", self.ports.host, "-p", str(self.ports.webserver), "-w", str(workspace)),
            ready=http_ok(f"{self.ports.webserver_url}/server_info"),
        )

    def _daemon(self, workspace: Path) -> ProcessSpec:
        log = self.home / "logs" / "daemon.log"
        start = log.stat().st_size if log.exists() else 0
        return self._spec(
            "daemon",
            *("-m", "dagster._daemon", "run", "-w", str(workspace)),
            # It opens no port: its first words say that its loops run.
            ready=lambda: log.exists() and b"Instance is configured with" in log.read_bytes()[start:],
        )


def _end_of(log: Path) -> str:
    """Return the last lines of a log: most often they say what is wrong."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n".join(f"  | {line}" for line in text.strip().splitlines()[-_LOG_LINES:])
