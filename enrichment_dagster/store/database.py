"""Opening the operational store: SQLite files tuned for many small durable commits, or Postgres by URL."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

Found = TypeVar("Found")

_BUSY_TIMEOUT_MS = 10_000
_PRIMARY_CODE = 0xFF  # of an error's code; the rest says why, as that another process looks over what a dead one left
_ASK_AGAIN_SECONDS = 0.001
"""How often a writer looks whether its turn has come. SQLite itself waits up to a tenth of a second between two looks,
so that a process with many short transactions goes without the lock while another one comes back for it."""


def to_ms(moment: datetime) -> int:
    """Return a moment as UTC milliseconds."""
    return round(moment.timestamp() * 1_000)


def from_ms(value: int) -> datetime:
    """Return UTC milliseconds as a moment."""
    return datetime.fromtimestamp(value / 1_000, tz=UTC)


class JsonText(str):
    """A JSON document that is written as it is."""


def to_json(value: Any) -> str:
    """Return a value of a JSON column as text. What orjson does not take (broken characters, integers beyond 64 bits)
    takes the slow way.
    """
    if isinstance(value, JsonText):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value)


def from_json(text: str) -> Any:
    """Return a value from its text, quicker than columns are read; integers beyond 64 bits come as floats."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


@dataclass(frozen=True, slots=True)
class Database:
    """One database with a connection for reading and one for writing transactions."""

    engine: Engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads: it never waits for a writer, and all its queries see one moment."""
        options = {"isolation_level": "REPEATABLE READ"} if self.engine.dialect.name == "postgresql" else {}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a writing transaction; it is durable when the block ends without an error."""
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def writer(self) -> Writer:
        """Return a writer, for a thread that writes all the time."""
        return Writer(self)

    def reader(self) -> Reader:
        """Return a reader, for a thread that reads all the time."""
        return Reader(self)

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


class Writer:
    """Writing transactions of one thread, one after the other.

    On SQLite its connection lasts, and the driver begins and ends the transactions: SQLAlchemy takes longer for that
    than SQLite for a transaction's work. On Postgres a connection may have died since the last time, so that each
    transaction gets one that was tried.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lasts = database.engine.dialect.name == "sqlite"
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction; it is durable when the block ends without an error."""
        if not self._lasts:
            with self._database.write() as connection:
                yield connection
            return
        try:
            connection = self._connection = self._connection or self._connect()
            _begin_soon(connection)
            yield connection
            # Where somebody used SQLAlchemy's own statements, it has a transaction as well: around the same one.
            if connection.in_transaction():
                connection.commit()
            else:
                run_driver(connection, "COMMIT")
        except BaseException:
            self.close()  # the connection is rolled back, and the next transaction has a new one
            raise

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(DBAPIError):
                run_driver(connection, f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
            connection.close()

    def _connect(self) -> Connection:
        connection = self._database.engine.connect()
        run_driver(connection, "PRAGMA busy_timeout=0")
        return connection


class Reader:
    """Single queries of one thread, which wait for no writer.

    Its connection lasts: SQLAlchemy takes longer to lend one than SQLite for a query.
    """

    def __init__(self, database: Database) -> None:
        self._engine = database.engine
        self._connection: Connection | None = None
        self.is_quick = self._engine.dialect.name == "sqlite"
        """Whether a query is a call of a function, which an event loop may make: Postgres is behind a network."""

    def rows(self, query: Callable[[Connection], Found]) -> Found:
        """Return what a query finds, which is run by the driver (``Query.rows``)."""
        connection = self._connection = self._connection or self._engine.connect()
        return query(connection)

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _begin_soon(connection: Connection) -> None:
    """Begin a writing transaction as soon as no other process has one.

    Raises:
        OperationalError: the others did not end in time.
    """
    if not _when_free(connection.connection.dbapi_connection, "BEGIN IMMEDIATE"):
        run_driver(connection, "BEGIN IMMEDIATE")  # whose errors come as all others do


def _when_free(driver: Any, text: str) -> bool:
    """Run a statement as soon as others leave the file alone; False: they did not in time, or it has another fault."""
    give_up = time.monotonic() + _BUSY_TIMEOUT_MS / 1_000
    while time.monotonic() < give_up:
        try:
            driver.execute(text)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY:
                return False
        else:
            return True
        time.sleep(_ASK_AGAIN_SECONDS)
    return False


def open_sqlite(path: Path) -> Database:
    """Open (and create, if need be) a SQLite file in WAL mode with synchronous=FULL: a commit survives a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = _engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return Database(engine)


def open_postgres(url: str) -> Database:
    """Open a Postgres database; psycopg 3 whatever the URL's driver part says."""
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    return Database(_engine(parsed, pool_pre_ping=True))


def _engine(url: str | URL, **options: Any) -> Engine:
    return create_engine(url, hide_parameters=True, json_serializer=to_json, **options)


def run_driver(connection: Connection, text: str, parameters: Any = (), *, many: bool = False) -> Any:
    """Run a statement on the driver's connection and return its cursor; its errors come as SQLAlchemy's do."""
    driver: Any = connection.connection.dbapi_connection
    errors: Any = connection.dialect.loaded_dbapi.Error
    cursor = driver.cursor()
    try:
        if many:
            cursor.executemany(text, parameters)
        else:
            cursor.execute(text, parameters)
    except errors as error:
        raise DBAPIError.instance(text, None, error, errors, hide_parameters=True) from error
    return cursor


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not open transactions of its own
    cursor = connection.cursor()
    # Of processes that open a new file together SQLite lets one do this, and refuses the others without waiting.
    if not _when_free(connection, "PRAGMA journal_mode=WAL"):
        cursor.execute("PRAGMA journal_mode=WAL")  # for its error
    for pragma in (
        "synchronous=FULL",
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        "temp_store=MEMORY",
        "cache_size=-8000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    driver: Any = connection.connection.dbapi_connection
    if driver.in_transaction:
        return  # a ``Writer`` has begun it
    # A writer takes its lock at once: upgrading a read transaction later could fail with "database is locked".
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
