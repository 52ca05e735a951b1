"""Schemas: what the migrations make is what ``tables`` says, and any number of processes may open at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from side_by_side import open_stores
from sqlalchemy import inspect, text
from support.at_once import at_once
from support.rig import open_databases

from enrichment_dagster.errors import StoreError
from enrichment_dagster.store import migrate
from enrichment_dagster.store.migrate import JOURNAL, OPS, open_journal_database, open_ops_database
from enrichment_dagster.store.tables import journal_metadata, ops_metadata

SCHEMAS = [(JOURNAL, journal_metadata, 0), (OPS, ops_metadata, 1)]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def settings(request, make_settings):
    """An installation that has never been started."""
    if request.param == "sqlite":
        return make_settings()
    return make_settings(ENRICHMENT_STORE_URL=request.getfixturevalue("postgres_database"))


@pytest.mark.parametrize(("schema", "metadata", "index"), SCHEMAS, ids=["journal", "ops"])
def test_the_migrations_make_what_the_tables_say(place, schema, metadata, index):
    """Or a fresh installation differs from an upgraded one."""
    databases = open_databases(place)
    names = {table.name for table in metadata.sorted_tables}

    def mine(entry, name, kind, _reflected, _compare_to):
        return kind != "table" or name in names

    with databases[index].read() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": mine, "compare_type": True})
        difference = compare_metadata(context, metadata)
    for database in databases:
        database.dispose()
    assert difference == []


@pytest.mark.parametrize("schema", [JOURNAL, OPS], ids=["journal", "ops"])
def test_the_head_that_is_written_down_is_the_newest_migration(schema):
    """Every process compares with the constant, so that alembic need not be imported."""
    config = Config()
    config.set_main_option("script_location", str(migrate._MIGRATIONS / schema.name))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.head]


def test_the_first_process_creates_the_schema_and_the_next_one_finds_it(settings, monkeypatch):
    open_journal_database(settings).dispose()
    open_ops_database(settings).dispose()
    monkeypatch.setattr(migrate, "upgrade", lambda *_: pytest.fail("there is nothing to upgrade"))
    open_ops_database(settings).dispose()
    database = open_journal_database(settings)
    with database.read() as connection:
        assert inspect(connection).has_table("journal")
    database.dispose()


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(settings):
    database = open_ops_database(settings)
    with database.write() as connection:
        connection.execute(text("UPDATE schema_version_ops SET version_num = '9999'"))
    with pytest.raises(StoreError, match="has schema 9999, newer than this version knows: upgrade the product"):
        open_ops_database(settings)
    with database.read() as connection:
        assert connection.execute(text("SELECT version_num FROM schema_version_ops")).scalar() == "9999"
    database.dispose()


def test_a_migration_that_fails_leaves_nothing_behind(settings, monkeypatch):
    from alembic.operations import Operations

    created = Operations.create_table

    def fails(self, name, *columns, **options):
        if name == "outbox":
            raise OSError("disk full")
        return created(self, name, *columns, **options)

    monkeypatch.setattr(Operations, "create_table", fails)
    with pytest.raises(OSError, match="disk full"):
        open_ops_database(settings)
    monkeypatch.undo()
    database = open_ops_database(settings)
    with database.read() as connection:
        assert inspect(connection).has_table("outbox")
    database.dispose()


@pytest.mark.stack
@pytest.mark.parametrize(
    ("settings", "homes"),
    [
        ("sqlite", "aaaa"),
        pytest.param("postgres", "aaaa", marks=pytest.mark.postgres),
        pytest.param("postgres", "abab", marks=pytest.mark.postgres, id="two machines, which share no lock file"),
    ],
    indirect=["settings"],
)
def test_processes_that_start_together_do_not_get_in_each_others_way(settings, tmp_path: Path, homes):
    shared = {"ENRICHMENT_CONFIG": str(settings.config_path), "ENRICHMENT_STORE_URL": settings.store_url or ""}
    at_once(open_stores, [{**shared, "ENRICHMENT_HOME": str(tmp_path / home)} for home in homes])
    databases = open_databases(settings.store_url or tmp_path / "a")
    for database, (schema, _, _) in zip(databases, SCHEMAS, strict=True):
        with database.read() as connection:
            version = text(f"SELECT version_num FROM {schema.version_table}")
            assert connection.execute(version).scalars().all() == [schema.head]
        database.dispose()
