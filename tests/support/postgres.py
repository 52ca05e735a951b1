"""A PostgreSQL server for tests: the given one, or a throw-away cluster from the machine's own binaries."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from support.parts import require

URL_VARIABLE = "ENRICHMENT_TEST_POSTGRES_URL"
_DURABILITY_OFF = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")


@contextmanager
def server_url(folder: Path) -> Iterator[str]:
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield given
        return
    programs = _programs()
    require(programs, f"no PostgreSQL server: install postgresql, or set {URL_VARIABLE}")
    assert programs is not None
    with _cluster(programs, folder) as url:
        yield url


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


@contextmanager
def _cluster(programs: Path, folder: Path) -> Iterator[str]:
    # The server refuses to run as root, and its user must be able to enter the folder and all above it.
    as_root = os.geteuid() == 0
    prefix = ["runuser", "-u", "postgres", "--"] if as_root else []
    if as_root:
        folder = Path("/tmp") / f"enrichment-postgres-{uuid4().hex[:8]}"
        folder.mkdir(mode=0o700)
        shutil.chown(folder, "postgres", "postgres")
    data, port = folder / "data", _free_port()
    environ = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}

    def run(*command: str) -> None:
        subprocess.run([*prefix, *command], check=True, env=environ, cwd="/", stdout=subprocess.DEVNULL)

    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    options += "".join(f" -c {item}" for item in _DURABILITY_OFF)
    try:
        run(str(programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8")
        log = str(folder / "log")
        run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-t", "30", "-l", log, "-o", options, "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        if as_root:
            shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def fresh_database(server: str, template: str = "template0") -> Iterator[str]:
    """A database that nobody else uses, dropped afterwards."""
    name = f"test_{uuid4().hex[:12]}"
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield database_url(server, name)
    finally:
        _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def database_url(server: str, name: str) -> str:
    return _driver(server).set(drivername="postgresql", database=name).render_as_string(hide_password=False)


def _driver(server: str) -> URL:
    return make_url(server).set(drivername="postgresql+psycopg")


def _execute(server: str, statement: str) -> None:
    engine = create_engine(_driver(server), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()
