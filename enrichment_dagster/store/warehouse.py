"""The warehouse: DuckLake tables that analysts query with DuckDB while a projector writes them.

DuckDB is the engine; the catalog is a SQLite file (or a Postgres database), the data are Parquet files. Readers never
block the writer and the writer never blocks readers. There is one writer at a time: see ``warehouse_lock``.

Never open the catalog file with Python's ``sqlite3``, nor an operational file with DuckDB: the two copies of the SQLite
library in one process do not see each other's locks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from enrichment_dagster.domain.config import RoutingConfig
from enrichment_dagster.errors import StoreError
from enrichment_dagster.store.warehouse_extensions import install_sql, load_sql, quoted
from enrichment_dagster.store.warehouse_sql import sql

if TYPE_CHECKING:
    import polars as pl

_NAME = "warehouse"
_INLINED_ROWS = 1_000  # smaller inserts into append-only tables stay in the catalog until maintenance flushes them
_Config = dict[str, str | bool | int | float | list[str]]
# DuckDB would hash 70 MB of extensions at every opening, half a second; pip checked their hashes at the installation.
# _attach ends the permission once they are loaded.
_CONFIG: _Config = {"allow_unsigned_extensions": True}
_WRITER_CONFIG: _Config = {**_CONFIG, "threads": 2, "memory_limit": "512MB"}


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Where the warehouse is, and which rules its view ``lead_scores`` follows.

    ``catalog_url`` (a ``postgresql://`` URL) replaces the catalog file.
    """

    catalog_path: Path
    lake_path: Path
    catalog_url: str | None = None
    routing: RoutingConfig = RoutingConfig()  # noqa: RUF009 - it is frozen

    @contextmanager
    def connect_writer(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the warehouse for writing, creating it if need be. Hold the writer's lock around it."""
        self.catalog_path.parent.mkdir(parents=True, exist_ok=True)
        self.lake_path.mkdir(parents=True, exist_ok=True)
        options = [f"DATA_INLINING_ROW_LIMIT {_INLINED_ROWS}"]
        if self.catalog_url is None:
            options += [*_beside_the_catalog(self.lake_path), "META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 5000"]
        else:
            options.append(_data_path(self.lake_path))
        with duckdb.connect(config=_WRITER_CONFIG) as connection:
            self._attach(connection, options)
            if self.catalog_url is None:
                connection.execute(sql("note_data_path"), {"path": f"{self.lake_path}/"})
            yield connection

    @contextmanager
    def connect_reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the warehouse read-only: every query sees the newest commit, a transaction sees one.

        Raises:
            StoreError: there is no warehouse yet.
        """
        if self.catalog_url is None and not self.catalog_path.is_file():
            raise StoreError(f"there is no warehouse yet at {self.catalog_path}: the first projection creates it")
        with duckdb.connect(config=_CONFIG) as connection:
            self._attach(connection, _reader_options(self.lake_path, self.catalog_url))
            yield connection

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Return one query's result; ``parameters`` are bound to ``$name``."""
        with self.connect_reader() as connection:
            return connection.execute(text, dict(parameters or {})).pl()

    @property
    def lock_path(self) -> Path:
        """Return the file whose lock the writer holds."""
        return self.catalog_path.parent / "writer.lock"

    @property
    def _kind(self) -> str:
        return "postgres" if self.catalog_url else "sqlite"

    def _attach(self, connection: duckdb.DuckDBPyConnection, options: list[str]) -> None:
        catalog = self.catalog_url or str(self.catalog_path)
        try:
            for statement in load_sql(self._kind):
                connection.execute(statement)
            connection.execute("SET allow_unsigned_extensions = false")
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"ATTACH {quoted(f'ducklake:{self._kind}:{catalog}')} AS {_NAME} ({', '.join(options)})")
            connection.execute(f"USE {_NAME}")
        except duckdb.Error as error:
            # A message about a Postgres catalog may hold its password.
            place, why = ("its Postgres catalog", type(error).__name__) if self.catalog_url else (catalog, _why(error))
            raise StoreError(f"the warehouse can't be opened at {place}: {why}") from error


def roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Undo the open transaction. A COMMIT that failed has ended it: its error must not give way to one that says so."""
    with suppress(duckdb.Error):
        connection.rollback()


def _why(error: duckdb.Error) -> str:
    """Return why a SQLite catalog was not opened, with the way out where its user has one."""
    why = str(error).strip().splitlines()[0]
    if "readonly" in why:
        why += "; reading, too, needs permission to write to its folder and files: SQLite shares its locks there"
    return why


def _data_path(lake_path: Path) -> str:
    return f"DATA_PATH {quoted(f'{lake_path}/')}"


def _beside_the_catalog(lake_path: Path) -> list[str]:
    """Return the options by which the data are where the catalog is, although both have been moved together."""
    return [_data_path(lake_path), "OVERRIDE_DATA_PATH true"]


def _reader_options(lake_path: Path, catalog_url: str | None = None) -> list[str]:
    return ["READ_ONLY", *(_beside_the_catalog(lake_path) if catalog_url is None else ())]


def reader_sql(catalog_path: Path, lake_path: Path) -> list[str]:
    """Return the statements that open the warehouse read-only in the shipped DuckDB CLI, without internet."""
    options = ", ".join(_reader_options(lake_path))
    attach = f"ATTACH {quoted(f'ducklake:sqlite:{catalog_path}')} AS {_NAME} ({options})"
    return [*load_sql("sqlite"), attach, f"USE {_NAME}"]


def extension_install_sql() -> list[str]:
    """Return the statements that make ``duckdb -readonly "ducklake:sqlite:<catalog>"`` work without internet.

    Each user runs them once; they copy the extensions to ``~/.duckdb``.
    """
    return install_sql("sqlite")
