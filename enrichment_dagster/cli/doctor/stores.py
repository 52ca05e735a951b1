"""Are the stores at this release's schema. Looks without creating or upgrading anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from enrichment_dagster.cli.doctor.finding import Finding, fail, ok, warn
from enrichment_dagster.errors import StoreError
from enrichment_dagster.settings import STORE_URL_VARIABLE, Settings
from enrichment_dagster.store.database import Database, open_postgres, open_sqlite
from enrichment_dagster.store.migrate import JOURNAL, OPS, Schema


def check_stores(settings: Settings) -> Iterator[Finding]:
    """Check the schema versions of journal, operational store and warehouse."""
    for schema, path in ((JOURNAL, settings.journal_path), (OPS, settings.ops_path)):
        yield check_schema(settings, schema, path)
    yield check_warehouse(settings)


def check_schema(settings: Settings, schema: Schema, path: Path) -> Finding:
    """Check one schema's version."""
    from sqlalchemy.exc import SQLAlchemyError

    check = f"{schema.name} store"
    if settings.store_url is None and not path.is_file():
        return ok(check, "not there yet; the first process creates it")
    database: Database | None = None
    try:
        database = open_postgres(settings.store_url) if settings.store_url else open_sqlite(path)
        found = _version(database, schema)
    except (SQLAlchemyError, ImportError) as error:
        todo = f"check {STORE_URL_VARIABLE} and that the server runs" if settings.store_url else f"restore {path}"
        return fail(check, f"does not answer ({type(error).__name__})", todo)
    finally:
        if database is not None:
            database.dispose()
    return _verdict(check, found, schema.head)


def _version(database: Database, schema: Schema) -> str | None:
    from sqlalchemy import String, column, inspect, select, table

    with database.read() as connection:
        if not inspect(connection).has_table(schema.version_table):
            return None
        found = select(column("version_num", String)).select_from(table(schema.version_table))
        return connection.execute(found).scalar()


def _verdict(check: str, found: str | None, head: str) -> Finding:
    if found == head:
        return ok(check, f"schema {head}")
    if found is None:
        return ok(check, "empty; the first process creates the tables")
    if found < head:
        return warn(check, f"schema {found}, this release has {head}", "start any process: it upgrades the store")
    return fail(check, f"schema {found} is newer than this release's {head}", "upgrade the product")


def check_warehouse(settings: Settings) -> Finding:
    """Check the warehouse's version."""
    check = "warehouse"
    if settings.catalog_url is None and not settings.catalog_path.is_file():
        return ok(check, "not there yet; the first projection creates it")
    try:
        from enrichment_dagster.composition import open_warehouse
        from enrichment_dagster.store.warehouse_query import read_query
        from enrichment_dagster.store.warehouse_sql import schema_versions

        rows = read_query(open_warehouse(settings), "SELECT max(version) FROM schema_version").rows
    except (StoreError, ImportError) as error:
        return fail(check, str(error).splitlines()[0], "see the projector's log; the operational store has all data")
    return _verdict(check, f"{rows[0][0] or 0:04d}", f"{schema_versions()[-1][0]:04d}")
