"""Starting, stopping and guarding real (tiny) processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from enrichment_dagster.supervise.guard import Guard
from enrichment_dagster.supervise.guardian import end_groups, group_lives
from enrichment_dagster.supervise.process import ProcessSpec, SupervisedProcess, http_ok, port_is_free, port_open

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
GUARDED = """
import sys, time
from pathlib import Path
from enrichment_dagster.supervise.guard import Guard
from enrichment_dagster.supervise.guardian import end_groups, group_lives
from enrichment_dagster.supervise.process import ProcessSpec, SupervisedProcess
guard = Guard()
guard.start()
command = [sys.executable, "-c", sys.argv[2]]
parent = SupervisedProcess(ProcessSpec("parent", command, {}, Path(sys.argv[1]), lambda: True))
guard.protect({parent.start()})
print(parent.process.pid, flush=True)
time.sleep(60)
"""


def eventually(what: str, condition: Callable[[], object], seconds: float = 15) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., SupervisedProcess]]:
    started: list[SupervisedProcess] = []

    def run(code: str, stop_seconds: float = 1.0, ready: Callable[[], bool] = lambda: True) -> SupervisedProcess:
        spec = ProcessSpec(
            "tiny", [sys.executable, "-c", code], os.environ, tmp_path / "tiny.log", ready, 60, stop_seconds
        )
        process = SupervisedProcess(spec)
        process.start()
        started.append(process)
        return process

    yield run
    for process in started:
        process.stop()


def pid_in(log: Path) -> int:
    eventually(f"a pid in {log.name}", lambda: log.exists() and log.read_text().strip())
    return int(log.read_text().split()[0])


def autogroup_niceness(pid: int | None) -> int | None:
    """Return the niceness of a process' session, as Linux tells it (``/autogroup-123 nice 10``); None: it has none."""
    group = Path(f"/proc/{pid}/autogroup")
    words = group.read_text().split() if group.exists() else []
    return int(words[-1]) if words else None


def sessions_have_a_niceness() -> bool:
    """Say whether this machine gives a new session a niceness of its own and lets us change it."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as sleeper:
        try:
            if autogroup_niceness(sleeper.pid) is None:
                return False
            Path(f"/proc/{sleeper.pid}/autogroup").write_text("1")
        except BlockingIOError:  # too many changes at this moment
            return True
        except OSError:
            return False
        finally:
            sleeper.kill()
    return True


def test_a_process_that_is_to_yield_does_so_with_its_children_and_its_session(tmp_path: Path) -> None:
    log, usual, grouped = tmp_path / "parent.log", autogroup_niceness(os.getpid()), sessions_have_a_niceness()
    own = os.getpriority(os.PRIO_PROCESS, 0)  # of who runs the tests under nice
    for niceness in (13, 17):  # two changes in a row: the second one has to wait
        log.unlink(missing_ok=True)
        spec = ProcessSpec("parent", [sys.executable, "-c", PARENT], os.environ, log, lambda: True, niceness=niceness)
        process = SupervisedProcess(spec)
        process.start()
        try:
            child = pid_in(log)
            assert process.process is not None
            pids = (process.process.pid, child)
            assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in pids} == {max(own, niceness)}
            if grouped:
                assert [autogroup_niceness(pid) for pid in pids] == [niceness, niceness]
            assert autogroup_niceness(os.getpid()) == usual
        finally:
            process.stop()


def test_what_does_not_end_when_asked_is_ended_by_force(start: Callable[..., SupervisedProcess]) -> None:
    process = start(STUBBORN, stop_seconds=0.3)
    eventually("the process is up", lambda: "up" in process.spec.log_path.read_text())
    process.stop()
    assert process.process is not None
    assert process.process.returncode == -signal.SIGKILL


def test_a_stopped_process_leaves_no_children(start: Callable[..., SupervisedProcess]) -> None:
    """The code server's children are runs: they would go on writing to stores that somebody may just be moving."""
    process = start(PARENT)
    child = pid_in(process.spec.log_path)
    process.stop()
    eventually("the child has ended", lambda: gone(child))


def test_children_of_a_fallen_process_end_with_the_supervisor(start: Callable[..., SupervisedProcess]) -> None:
    """A run outlives its code server on purpose (it finishes its batch), but not the installation."""
    process = start(PARENT)
    orphan = pid_in(process.spec.log_path)
    assert process.process is not None
    process.process.kill()
    process.process.wait(5)
    process.watch()
    time.sleep(0.6)
    assert process.watch() == "tiny restarted"
    assert not gone(orphan), "a restart leaves runs at work alone"
    process.stop()
    eventually("the orphan has ended", lambda: gone(orphan))


def test_readiness_ends_with_the_process_or_when_interrupted(start: Callable[..., SupervisedProcess]) -> None:
    dead = start("raise SystemExit(1)", ready=lambda: False)
    begun = time.monotonic()
    assert dead.wait_ready() is False
    slow = start("import time; time.sleep(60)", ready=lambda: False)
    assert slow.wait_ready(interrupted=lambda: True) is False
    assert time.monotonic() - begun < 30, "nobody waited for the whole minute"


def test_a_killed_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    """kill -9 of the supervisor itself: its processes and their children end, and the next start finds free ports."""
    log = tmp_path / "parent.log"
    supervisor = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(GUARDED), str(log), PARENT], stdout=subprocess.PIPE, text=True
    )
    try:
        assert supervisor.stdout is not None
        parent = int(supervisor.stdout.readline())
        child = pid_in(log)
        supervisor.kill()
        supervisor.wait(5)
        eventually("parent and child have ended", lambda: gone(parent) and gone(child))
    finally:
        supervisor.kill()
        supervisor.wait(5)
        assert supervisor.stdout is not None
        supervisor.stdout.close()


def test_a_fallen_guardian_is_replaced(tmp_path: Path, start: Callable[..., SupervisedProcess]) -> None:
    process = start(PARENT)
    assert process.process is not None
    child = pid_in(process.spec.log_path)
    guard = Guard()
    guard.start()
    guard.protect({process.process.pid})
    first = guard.pid
    os.kill(first, signal.SIGKILL)
    eventually("the guardian has fallen", lambda: gone(first))
    guard.protect({process.process.pid})
    assert guard.pid != first
    guard.abandon()  # what the kernel does when a supervisor dies
    eventually("the new guardian ended everything", lambda: not process.is_alive() and gone(child))
    guard.stop()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system does not tell who has ended")
def test_nobody_waits_for_what_has_ended_and_is_not_reaped() -> None:
    """Orphans belong to the first process of the machine or container, which may take its time: a stop must not."""
    with subprocess.Popen([sys.executable, "-c", ""], start_new_session=True) as ended:
        eventually("it has ended", lambda: gone(ended.pid))
        assert group_lives(ended.pid), "its number is taken until somebody asks for its status"
        begun = time.monotonic()
        end_groups({ended.pid}, grace_seconds=60)
        assert time.monotonic() - begun < 10


def test_probes() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        assert not port_open("127.0.0.1", port)()
        listener.listen()
        assert port_open("127.0.0.1", port)()
        assert not port_is_free("127.0.0.1", port)
    assert port_is_free("127.0.0.1", port)
    assert not http_ok(f"http://127.0.0.1:{port}/")()
