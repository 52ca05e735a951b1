"""The same tests on SQLite files and on Postgres. The migrations make schemas once; each test finds them empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, text
from support.empty_stores import put_empty_stores
from support.postgres import fresh_database
from support.rig import Rig

from enrichment_dagster.settings import load_settings
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.migrate import open_journal_database, open_ops_database
from enrichment_dagster.store.tables import journal_metadata, ops_metadata

TABLES = (*journal_metadata.sorted_tables, *ops_metadata.sorted_tables)
NUMBERED = [(table.name, column.name) for table in TABLES for column in table.columns if column.autoincrement is True]
_DROP_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class PostgresStore:
    """One database for all tests: to make one takes a hundred times as long as to empty one."""

    url: str
    database: Database
    made: Mapping[Table, Sequence[Mapping[str, Any]]]
    """The rows that the migrations put there."""

    def empty(self) -> None:
        """Leave what the migrations left."""
        with self.database.write() as connection:
            connection.execute(text(_DROP_OTHERS))
            connection.execute(text("; ".join(f"DELETE FROM {table.name}" for table in TABLES)))
            for table, column in NUMBERED:
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), 1, false)"))
            for made, rows in self.made.items():
                connection.execute(made.insert(), rows)


@pytest.fixture(scope="session")
def postgres_store(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[PostgresStore]:
    with fresh_database(postgres_url) as url:
        home = tmp_path_factory.mktemp("postgres-store")
        settings = load_settings({"ENRICHMENT_HOME": str(home), "ENRICHMENT_STORE_URL": url})
        open_journal_database(settings).dispose()
        database = open_ops_database(settings)
        with database.read() as connection:
            found = {table: [dict(row) for row in connection.execute(table.select()).mappings()] for table in TABLES}
        yield PostgresStore(url, database, {table: rows for table, rows in found.items() if rows})
        database.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where an empty store is: a folder or a URL."""
    if request.param == "sqlite":
        put_empty_stores(tmp_path)
        return tmp_path
    store: PostgresStore = request.getfixturevalue("postgres_store")
    store.empty()
    return store.url


@pytest.fixture
def rig(place: Path | str) -> Iterator[Rig]:
    rig = Rig(place)
    yield rig
    rig.close()


@pytest.fixture
def other(rig: Rig) -> Iterator[Rig]:
    """The same store, as a second process sees it."""
    other = rig.another()
    yield other
    other.close()
