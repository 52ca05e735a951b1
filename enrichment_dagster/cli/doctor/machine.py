"""Is the machine ready: ports, the home directory, disk."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from enrichment_dagster.cli.doctor.finding import Finding, fail, ok, warn
from enrichment_dagster.settings import HOME_VARIABLE, Settings
from enrichment_dagster.supervise.environment import Ports

_PORTS = Ports()
_OURS = ("enrichment_dagster", "dagster")
_TIMEOUT_SECONDS = 0.5
_GIB = 1024**3
_LOW_BYTES, _NONE_BYTES = 2 * _GIB, _GIB // 4


def check_ports() -> Iterator[Finding]:
    """Check that our ports are free, or ours already."""
    yield check_port("gateway", _PORTS.gateway)
    yield check_port("Dagster webserver", _PORTS.webserver)
    yield check_port("Dagster code server", _PORTS.code_server)


def check_port(name: str, port: int) -> Finding:
    """Check one port."""
    check = f"port {port}"
    if not _answers(port):
        return ok(check, f"free for the {name}")
    process = _listener(port)
    if process is None:
        todo = f"if it is not ours, stop it (`ss -ltnp | grep :{port}` shows it to its owner)"
        return warn(check, f"in use by a process that is not ours to see, instead of the {name}", todo)
    pid, words = process
    if any(ours in words for ours in _OURS):
        return ok(check, f"in use by this product (process {pid})")
    return fail(
        check,
        f"in use by process {pid} ({words.split()[0] if words else '?'})",
        f"the {name} needs it: stop that process",
    )


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(_TIMEOUT_SECONDS)
        return probe.connect_ex((_PORTS.host, port)) == 0


def _listener(port: int) -> tuple[int, str] | None:
    """Return the process that listens, and its command line; None where the system does not tell."""
    import psutil

    try:
        found = psutil.net_connections(kind="tcp")
        pids = [c.pid for c in found if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port and c.pid]
        return (pids[0], " ".join(psutil.Process(pids[0]).cmdline())) if pids else None
    except psutil.Error:
        return None


def check_home(settings: Settings) -> Iterator[Finding]:
    """Check that the stores can be written, and that the disk has room."""
    home = settings.home
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-"):
            yield ok("home", str(home) if place == home else f"{home} will be created")
    except OSError as error:
        yield fail("home", f"{place} can't be written ({error.strerror})", f"set {HOME_VARIABLE} to a folder that can")
    yield check_disk(place)


def check_disk(place: Path) -> Finding:
    """Check the free space."""
    free = shutil.disk_usage(place).free
    text = f"{free / _GIB:.1f} GiB free"
    todo = f"make room on the disk of {place}"
    if free < _NONE_BYTES:
        return fail("disk", text, todo)
    return warn("disk", text, todo) if free < _LOW_BYTES else ok("disk", text)
