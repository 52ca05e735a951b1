"""``enrichment up`` as operators meet it: started, refused, interrupted, killed, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from fullstack import (
    SLOW_ENOUGH_TO_HIT,
    Stack,
    end,
    environment,
    free_ports,
    running_stack,
    up_command,
    wait_for,
    wait_for_words,
    write_project,
)
from sqlalchemy import select

from enrichment_dagster.store.tables import journal
from enrichment_dagster.supervise.environment import Ports
from enrichment_dagster.supervise.home_lock import sole_supervisor

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def refused(folder: Path, ports: Ports, *more: str) -> subprocess.CompletedProcess[str]:
    env = environment(write_project(folder / "project"), folder / "home")
    return subprocess.run(up_command(ports, *more), env=env, capture_output=True, text=True, timeout=60, check=False)


def left_of(processes: Mapping[int, str]) -> dict[int, str]:
    found = {}
    for pid, name in processes.items():
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found[pid] = name
        except psutil.NoSuchProcess:
            continue
    return found


def names(stack: Stack) -> dict[int, str]:
    found = {}
    for process in stack.processes():
        with suppress(psutil.NoSuchProcess):  # a run that ended since, or that nobody has waited for yet
            found[process.pid] = " ".join(process.cmdline())[-80:]
    return found


def test_a_port_in_use_is_named_with_the_option_that_changes_it(tmp_path: Path) -> None:
    ports = free_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.webserver))
        taken.listen()
        done = refused(tmp_path, ports, "--sandbox")
    assert done.returncode == 2
    assert (
        f"port {ports.webserver} is in use (webserver); free it or choose another with --webserver-port" in done.stderr
    )
    assert "1 problem with ports" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_has_one_supervisor(tmp_path: Path) -> None:
    """A second one on other ports would lead the first one's Dagster to its own code server, and end with it."""
    with sole_supervisor(tmp_path / "home"):
        done = refused(tmp_path, free_ports(), "--sandbox")
    assert done.returncode == 1
    assert f"runs in {tmp_path / 'home'} already" in done.stderr
    assert "ENRICHMENT_HOME" in done.stderr
    assert not (tmp_path / "home" / "dagster").exists()


def test_without_keys_every_missing_secret_is_listed(tmp_path: Path) -> None:
    done = refused(tmp_path, free_ports())
    assert done.returncode == 2
    for name in ("APOLLO_API_KEY", "CLEARBIT_API_KEY", "HUBSPOT_ACCESS_TOKEN", "SALESFORCE_CLIENT_SECRET"):
        assert name in done.stderr
    assert "enrichment up --sandbox" in done.stderr


def test_ctrl_c_during_the_start_ends_it_at_once(tmp_path: Path) -> None:
    """The start takes seconds; whoever changes their mind must not have to wait for all of it, nor find leftovers."""
    log, ports = tmp_path / "up.log", free_ports()
    env = environment(write_project(tmp_path / "project"), tmp_path / "home")
    with log.open("ab") as output:
        up = subprocess.Popen(
            up_command(ports, "--sandbox"), env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for_words(up, log, "sandbox is ready", 60)
        started = {child.pid: child.name() for child in psutil.Process(up.pid).children(recursive=True)}
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0
        assert left_of(started) == {}
        assert "Traceback" not in log.read_text()
        assert "Ctrl-C stops everything" not in log.read_text()
    finally:
        end(up)


def test_all_is_killed_at_once_and_started_again(tmp_path: Path) -> None:
    """kill -9 of the supervisor with a run at work, as when the machine runs out of memory: nothing keeps a port, the
    next start finishes every acknowledged lead, and no dead run holds a slot. Then Ctrl-C leaves no process behind."""
    ports = free_ports()
    with running_stack(tmp_path, ports=ports) as stack:
        stack.faults(SLOW_ENOUGH_TO_HIT)
        stack.send(40, rate=0, seed=11, first_person=1)
        stack.wait_sent(60)
        wait_for("a run at work", 30, stack.runs)
        processes = names(stack)
        os.kill(stack.up.pid, signal.SIGKILL)
        stack.up.wait(10)
        wait_for("all processes ended", 15, lambda: not left_of(processes))
        acknowledged = {lead.record_id[:15] for lead in stack.sent if lead.accepted}
        assert len(acknowledged) == 40

    with running_stack(tmp_path, ports=ports) as stack:
        stack.settle(90)
        with stack.stores.journal.read() as connection:
            received = [subject[:15] for subject in connection.execute(select(journal.c.subject_id)).scalars()]
        assert sorted(received) == sorted(acknowledged)
        balance = stack.stores.health().balance()
        assert (balance.terminal, balance.dead, balance.in_flight) == (40, 0, 0)
        alive = ("STARTING", "STARTED", "CANCELING")
        wait_for("no run that Dagster takes for alive", 20, lambda: stack.runs_in_dagster(*alive) == 0)
        processes = names(stack)
        stack.up.send_signal(signal.SIGINT)
        assert stack.up.wait(40) == 0
        assert left_of(processes) == {}
        assert "Traceback" not in (tmp_path / "up.log").read_text()
