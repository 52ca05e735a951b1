"""Schemas: what the migrations make is what ``tables`` says, and any number of processes may open at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
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
from enrichment_dagster.store.database import open_postgres, open_sqlite
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


def _upgrade_to(database, schema, revision):
    config = Config()
    config.set_main_option("script_location", str(migrate._MIGRATIONS / schema.name))
    with database.write() as connection:
        config.attributes["connection"] = connection
        config.attributes["version_table"] = schema.version_table
        command.upgrade(config, revision)


def _some_row(table, **given):
    """A row with a value in every column."""
    of_type = {sa.JSON: {"a": ["ä"]}, sa.Float: 0.5, sa.Integer: 1, sa.Boolean: True}
    row = {c.name: next((value for kind, value in of_type.items() if isinstance(c.type, kind)), "x") for c in table.c}
    return row | given


@pytest.fixture
def oldest(settings):
    """A store as the first release left it, with a row in every table, and what two leads left in the ledger."""
    database = open_postgres(settings.store_url) if settings.store_url else open_sqlite(settings.ops_path)
    _upgrade_to(database, OPS, "0001")
    tables = sa.MetaData()
    tables.reflect(database.engine)
    tables = {name: table for name, table in tables.tables.items() if name not in (OPS.version_table, "counters")}
    value = {"confidence": 0.5, "provider": "apollo", "field": "title"}
    names = ("value_id", "work_id", "event_id", "subject_key", "fetched_at_ms", "rev")
    ledger = [
        (1, "w1", "e1", "email:a@x.com", 10, 1),
        (2, "w1", "e1", "domain:x.com", 20, 1),
        (3, "w2", "e2", "email:a@x.com", 40, 2),
        (4, "w2", "e2", "domain:x.com", 30, 2),
        (5, "w3", "e3", "email:b@x.com", 50, 3),
    ]
    with database.write() as connection:
        for name, table in tables.items():
            of_leads = [value | dict(zip(names, row, strict=True)) for row in ledger]
            given = of_leads if name == "field_values" else [{}]
            connection.execute(table.insert(), [_some_row(table, **row) for row in given])
    yield database, tables
    database.dispose()


def test_the_oldest_store_keeps_its_rows(oldest, settings):
    """All but the cache, which may be lost."""
    database, tables = oldest
    with database.read() as connection:
        before = {name: connection.execute(table.select()).all() for name, table in tables.items()}
    open_ops_database(settings).dispose()
    with database.read() as connection:
        for name, table in tables.items():
            if name != "cache":
                assert connection.execute(table.select()).all() == before[name], name


def test_the_oldest_stores_values_tell_who_works_where(oldest, settings):
    """As the warehouse of that time did: or one that is made anew would not know."""
    open_ops_database(settings).dispose()
    with oldest[0].read() as connection:
        (edge,) = connection.execute(ops_metadata.tables["contact_company"].select()).mappings()
    assert (edge["contact_key"], edge["company_key"], edge["kind"]) == ("email:a@x.com", "domain:x.com", "employed")
    assert (edge["since_at_ms"], edge["last_seen_at_ms"], edge["ended_at_ms"]) == (10, 40, None)
    assert (edge["event_id"], edge["rev"]) == ("e2", 2)


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
