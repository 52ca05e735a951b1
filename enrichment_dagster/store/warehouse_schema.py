"""Bringing the warehouse's tables and views up to this release. Does nothing where they are."""

from __future__ import annotations

import hashlib

import duckdb

from enrichment_dagster.domain.config import RoutingConfig
from enrichment_dagster.errors import StoreError
from enrichment_dagster.store.lead_scores import lead_scores_sql
from enrichment_dagster.store.warehouse import roll_back
from enrichment_dagster.store.warehouse_sql import schema_versions, sql

_OPTIONS, _VIEWS = "warehouse_options", ("warehouse_views", "org_chart")


_NO_RULES = RoutingConfig()


def ensure_schema(connection: duckdb.DuckDBPyConnection, routing: RoutingConfig = _NO_RULES) -> None:
    """Create or upgrade tables, then their options and the views; one of them follows from the routing's rules.

    May be cut off anywhere: the next call goes on.

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
        _apply(connection, [sql(name) for name in steps], newest, "")
    views = [*(sql(name) for name in _VIEWS), lead_scores_sql(routing)]
    wanted = hashlib.sha256("".join([sql(_OPTIONS), *views]).encode()).hexdigest()
    if version < newest or digest != wanted:
        connection.execute(sql(_OPTIONS))  # DuckLake refuses options for tables of an open transaction
        _apply(connection, views, newest, wanted)


def _apply(connection: duckdb.DuckDBPyConnection, texts: list[str], version: int, digest: str) -> None:
    """Run SQL and note how far the warehouse has come, in one transaction."""
    connection.begin()
    try:
        for text in texts:
            connection.execute(text)
        connection.execute("INSERT INTO schema_version VALUES (?, ?, now())", [version, digest])
        connection.commit()
    except duckdb.Error:
        roll_back(connection)
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
