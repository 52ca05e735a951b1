"""The whole product as real processes (``enrichment up --sandbox``), to be killed one by one while leads come in."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
import yaml

from enrichment_dagster.composition import Stores, open_stores
from enrichment_dagster.sandbox.signing import build_hubspot_delivery, contact_creation
from enrichment_dagster.sandbox.traffic import LeadSent, LeadTraffic, TrafficConfig
from enrichment_dagster.settings import Settings, load_settings
from enrichment_dagster.supervise.environment import Ports, sandbox_variables
from enrichment_dagster.supervise.guard import Guard
from enrichment_dagster.supervise.guardian import at_work

ROOT = Path(__file__).parents[2]
CRMS = ("hubspot.", "salesforce.")
PROCESSES = ("gateway", "run", "daemon", "code-server", "webserver")
_MARKS = {
    "gateway": "enrichment_dagster.gateway.main",
    "daemon": "dagster._daemon",
    "code-server": "api grpc",
    "webserver": "dagster_webserver",
    "sandbox": "enrichment_dagster.sandbox",
}
_START_SECONDS = 150.0
SLOW_ENOUGH_TO_HIT = {
    "*": {"latency": {"p50_ms": 300, "p95_ms": 900}},
    "hubspot.batch_update": {"latency": 600},
    "salesforce.collections_update": {"latency": 600},
}
"""Answers take long enough for a kill to find calls and writes in flight."""


class NotReachedError(AssertionError):
    """A bounded wait ended without its condition; says which."""


def wait_for(what: str, seconds: float, condition: Callable[[], Any], pause: float = 0.2) -> Any:
    """Wait until the condition gives something true, and return that."""
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > give_up:
            raise NotReachedError(f"not within {seconds:g} s: {what}")
        time.sleep(pause)
    return found


def free_ports(first: int | None = None) -> Ports:
    """Return ports that nothing listens on; ``first`` for a fixed block of four."""
    if first is not None:
        return Ports(gateway=first, webserver=first + 1, code_server=first + 2, sandbox=first + 3)
    sockets = [socket.socket() for _ in range(4)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    numbers = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return Ports("127.0.0.1", *numbers)


def write_project(folder: Path, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """Copy the project's configuration, changed for a test, and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "dagster.yaml", folder / "dagster.yaml")
    config = yaml.safe_load((ROOT / "enrichment.yaml").read_text(encoding="utf-8"))
    if change is not None:
        change(config)
    path = folder / "enrichment.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def ask(method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None, timeout: float = 10) -> Any:
    """Call a JSON endpoint on the loopback."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(url, data=data, method=method, headers=dict(headers or {}))
    with urlopen(request, timeout=timeout) as answer:
        return json.loads(answer.read() or b"null")


@dataclass
class Stack:
    """A running installation, its processes, and what its senders were told."""

    home: Path
    ports: Ports
    config: Path
    up: subprocess.Popen[bytes]
    settings: Settings
    stores: Stores
    sent: list[LeadSent] = field(default_factory=list)
    _senders: list[threading.Thread] = field(default_factory=list)
    _errors: list[BaseException] = field(default_factory=list)

    # --- processes -------------------------------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Return everything below the supervisor."""
        return _below(self.up.pid)

    def find(self, name: str) -> psutil.Process | None:
        """Return the process of a name; ``run`` is a run that is at work."""
        if name == "run":
            return next(iter(self.runs()), None)
        for process in self.processes():
            if _MARKS[name] in _command(process) and _alive(process):
                return process
        return None

    def runs(self) -> list[psutil.Process]:
        """Return the processes of runs: children of the code server that are no helpers of multiprocessing."""
        server = self.find("code-server")
        with suppress(psutil.NoSuchProcess):
            children = server.children(recursive=True) if server else []
            return [child for child in children if "spawn_main" in _command(child)]
        return []

    def kill(self, name: str, seconds: float = 30.0) -> int:
        """End a process by SIGKILL, as soon as there is one; returns its pid."""

        def strike() -> int:
            process = self.find(name)
            if process is None:
                return 0
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
                return int(process.pid)
            return 0

        return int(wait_for(f"a process of {name} to kill", seconds, strike, pause=0.1))

    def kill_under_load(self, name: str, rng: random.Random, seconds: float = 60.0) -> int:
        """Kill a process at a seeded moment, counted from the first call that a run makes to a provider."""

        self.wait_for_calls(seconds)
        time.sleep(rng.uniform(0.0, 1.2 if name == "run" else 4.0))  # a run's calls are soon over
        return self.kill(name)

    def wait_for_calls(self, seconds: float = 60.0) -> None:
        """Wait until a run asks a provider."""
        before = self.provider_calls()
        wait_for("a run that asks a provider", seconds, lambda: self.provider_calls() > before, 0.05)

    def runs_in_dagster(self, *statuses: str) -> int:
        """Return how many runs Dagster has in these states."""
        from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

        wanted = RunsFilter(statuses=[DagsterRunStatus(status) for status in statuses])
        with DagsterInstance.from_config(str(self.home / "dagster")) as instance:
            return instance.get_runs_count(wanted)

    # --- emulators -------------------------------------------------------------------------------------------------

    def sandbox(self, method: str, path: str, body: Any = None) -> Any:
        """Call a control endpoint of the emulators."""
        return ask(method, f"{self.ports.sandbox_url}/_sandbox/{path}", body)

    def provider_calls(self) -> int:
        """Return how many calls have reached providers."""
        calls = self.sandbox("GET", "counters")["calls"]
        return sum(n for name, n in calls.items() if not name.startswith(CRMS))

    def faults(self, endpoints: Mapping[str, Any], seed: int = 7) -> None:
        """Replace the emulators' fault plan."""
        self.sandbox("PUT", "faults", {"seed": seed, "endpoints": dict(endpoints)})

    # --- senders ---------------------------------------------------------------------------------------------------

    def send(self, count: int, *, rate: float, seed: int, first_person: int, duplicates: float = 0.0) -> None:
        """Start a stream of leads; what was answered is collected in ``sent``."""
        variables = sandbox_variables(self.ports)
        traffic = LeadTraffic(
            TrafficConfig(
                sandbox_url=self.ports.sandbox_url,
                hubspot_url=f"{self.ports.gateway_url}/webhooks/hubspot",
                flow_url=f"{self.ports.gateway_url}/webhooks/salesforce/flow",
                hubspot_secret=variables["HUBSPOT_CLIENT_SECRET"],
                flow_secret=variables["SALESFORCE_FLOW_SECRET"],
                rate=rate,
                count=count,
                duplicate_share=duplicates,
                seed=seed,
                first_person=first_person,
                flow_retry_seconds=(0.2, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0),
            )
        )

        def work() -> None:
            try:
                asyncio.run(traffic.run(self.sent.append))
            except Exception as error:  # noqa: BLE001 - the test's thread raises it
                self._errors.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._senders.append(thread)

    def repeat(self, leads: list[LeadSent], rng: random.Random) -> None:
        """Deliver HubSpot events once more, late and in another order, several in one call."""
        leads = [lead for lead in leads if lead.event_id is not None]
        rng.shuffle(leads)
        events = [
            contact_creation(int(lead.record_id), lead.event_id or 0, lead.created_ms, attempt=1) for lead in leads
        ]
        url = f"{self.ports.gateway_url}/webhooks/hubspot"
        if events:
            secret = sandbox_variables(self.ports)["HUBSPOT_CLIENT_SECRET"]
            headers, body = build_hubspot_delivery(events, secret, url, int(time.time() * 1_000))
            with suppress(URLError, OSError):  # a repeat that finds nobody is repeated by a later one
                ask("POST", url, body, headers)

    def wait_sent(self, seconds: float) -> None:
        """Wait until all streams have ended."""
        give_up = time.monotonic() + seconds
        for thread in self._senders:
            thread.join(max(0.0, give_up - time.monotonic()))
        if self._errors:
            raise self._errors[0]
        if any(thread.is_alive() for thread in self._senders):
            raise NotReachedError(f"not within {seconds:g} s: all leads delivered; {len(self.sent)} were")
        self._senders.clear()

    def probe(self, person: int, seconds: float = 60.0) -> float:
        """Send one lead now and return the seconds until its CRM record says that it was enriched."""
        begun, position = time.monotonic(), len(self.sent)
        self.send(1, rate=0, seed=person, first_person=person)
        sent = wait_for("the probe lead taken", seconds, lambda: _of_person(self.sent[position:], person), 0.05)
        status = "enrichment_status" if sent.system == "hubspot" else "Enrichment_Status__c"
        path = f"crm/{sent.system}/records/{sent.record_id}"
        left = seconds - (time.monotonic() - begun)
        what = f"the probe lead {sent.system} {sent.record_id} delivered to its CRM"
        wait_for(what, max(1.0, left), lambda: self.sandbox("GET", path)["fields"].get(status), 0.1)
        return time.monotonic() - begun

    # --- quiet -----------------------------------------------------------------------------------------------------

    def settle(self, seconds: float) -> None:
        """Wait until nothing is in flight and nothing is owed."""

        def state() -> tuple[int, int]:
            health = self.stores.health()
            return health.balance().in_flight, health.owed()["entries"]

        try:
            wait_for("nothing in flight, nothing owed", seconds, lambda: state() == (0, 0))
        except NotReachedError as error:
            raise NotReachedError(f"{error}; in flight and owed are {state()}; {self.logs()}") from None

    def logs(self) -> str:
        """Return the end of each log, for a failure's message."""
        logs = sorted((self.home / "logs").glob("*.log"))
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in logs)


def _of_person(leads: list[LeadSent], person: int) -> LeadSent | None:
    return next((lead for lead in leads if lead.accepted and lead.person == person), None)


def _command(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return " ".join(process.cmdline())
    return ""


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def environment(config: Path, home: Path) -> dict[str, str]:
    """Return the environment of the command: this machine's, with nothing of ours in it but these two."""
    ours = ("ENRICHMENT_", "DAGSTER_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**clean, "ENRICHMENT_CONFIG": str(config), "ENRICHMENT_HOME": str(home)}


def up_command(ports: Ports, *more: str) -> list[str]:
    """Return the command line of ``enrichment up``."""
    command = [str(Path(sys.executable).parent / "enrichment"), "up", *more]
    for name in ("gateway", "webserver", "code-server", "sandbox"):
        command += [f"--{name}-port", str(getattr(ports, name.replace("-", "_")))]
    return command


@contextmanager
def running_stack(
    folder: Path,
    *,
    ports: Ports | None = None,
    change: Callable[[dict[str, Any]], None] | None = None,
    options: tuple[str, ...] = (),
) -> Iterator[Stack]:
    """Start everything against the emulators; at the end nothing is left, whatever happened."""
    ports, home = ports or free_ports(), folder / "home"
    config = write_project(folder / "project", change)
    env = environment(config, home)
    (folder / "up.log").unlink(missing_ok=True)
    log = (folder / "up.log").open("ab")
    up = subprocess.Popen(
        up_command(ports, "--sandbox", *options),
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    guard, stores = Guard(), None  # a test session that is killed leaves nothing behind either
    guard.start()
    try:
        guard.protect({up.pid})
        wait_for_words(up, folder / "up.log", "Ctrl-C stops everything", _START_SECONDS)
        settings = load_settings({**env, **sandbox_variables(ports)})
        stores = open_stores(settings)
        yield Stack(home, ports, config, up, settings, stores)
    finally:
        if stores is not None:
            stores.close()
        end(up)
        guard.stop()
        log.close()


def wait_for_words(up: subprocess.Popen[bytes], log: Path, words: str, seconds: float) -> None:
    """Wait until the command has said something."""

    def said() -> bool:
        text = log.read_text(errors="replace")
        if up.poll() is not None:
            raise NotReachedError(f"enrichment up ended with {up.returncode} before it said {words!r}:\n{text[-3000:]}")
        return words in text

    wait_for(f"enrichment up says {words!r}", seconds, said)


def end(up: subprocess.Popen[bytes]) -> None:
    """End the supervisor and all below it by force, unless it has ended: in good order they take up to nine seconds."""
    if up.poll() is None:
        up.send_signal(signal.SIGSTOP)  # or it might just be starting something
        groups = _groups_of(_below(up.pid)) - {os.getpgrp()}
        up.kill()
        for group in groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        up.wait()
        wait_for("the end of all that was killed", 15, lambda: not at_work(groups))


def _below(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def _groups_of(processes: list[psutil.Process]) -> set[int]:
    groups = set()
    for process in processes:
        with suppress(ProcessLookupError):
            groups.add(os.getpgid(process.pid))
    return groups
