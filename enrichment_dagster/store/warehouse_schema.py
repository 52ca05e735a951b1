"""Bringing the warehouse's tables and views up to this release. Does nothing where they are."""

from __future__ import annotations

import hashlib

import duckdb

from enrichment_dagster.errors import StoreError
from enrichment_dagster.store.warehouse_sql import schema_versions, sql

_OPTIONS, _VIEWS = "warehouse_options", "warehouse_views"


def ensure_schema(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or upgrade tables, then their options and the views. May be cut off anywhere: the next call goes on.

    Raises:
        StoreError: the warehouse was written by a newer release.
    """
    version, digest = _present(connection)
    newest = schema_versions()[-1][0]
    if version > newest:
        raise StoreError(f"the warehouse has schema version {version}, this release knows {newest}: upgrade it")
    if version < newest:
        steps = ["schema_version"] if version == 0 else []
        steps += [name for number, name in schema_versions() if number > version]
        _apply(connection, steps, newest, "")
    wanted = hashlib.sha256((sql(_OPTIONS) + sql(_VIEWS)).encode()).hexdigest()
    if version < newest or digest != wanted:
        connection.execute(sql(_OPTIONS))  # DuckLake refuses options for tables of an open transaction
        _apply(connection, [_VIEWS], newest, wanted)


def _apply(connection: duckdb.DuckDBPyConnection, names: list[str], version: int, digest: str) -> None:
    """Run files and note how far the warehouse has come, in one transaction."""
    connection.begin()
    try:
        for name in names:
            connection.execute(sql(name))
        connection.execute("INSERT INTO schema_version VALUES (?, ?, now())", [version, digest])
        connection.commit()
    except duckdb.Error:
        connection.rollback()
        raise


def _present(connection: duckdb.DuckDBPyConnection) -> tuple[int, str]:
    """Return the version of the tables (0 where there are none) and the digest of options and views."""
    try:
        row = connection.execute(
            "SELECT version, digest FROM schema_version ORDER BY applied_at DESC LIMIT 1"
        ).fetchone()
    except duckdb.CatalogException:
        return 0, ""
    return (int(row[0]), str(row[1])) if row else (0, "")
