"""A warehouse of the test's own. Its tables and views are made once: that takes longer than most tests."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from warehouse_rows import open_ops

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse
from enrichment_dagster.store.warehouse_schema import ensure_schema


@pytest.fixture
def ops(tmp_path: Path) -> Iterator[Database]:
    database = open_ops(tmp_path)
    yield database
    database.dispose()


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse" / "catalog.sqlite", tmp_path / "warehouse" / "data")


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Tables, options and views, and no rows. To be read and copied only."""
    folder = tmp_path_factory.mktemp("empty-warehouse")
    made = Warehouse(folder / "catalog.sqlite", folder / "data")
    with made.connect_writer() as lake:
        ensure_schema(lake)
    return made


@pytest.fixture
def projector(ops: Database, warehouse: Warehouse, empty_warehouse: Warehouse) -> Projector:
    """A projector to a warehouse that is there."""
    if not warehouse.catalog_path.exists():
        copy_warehouse(empty_warehouse, warehouse)
    return Projector(ops, warehouse, SystemClock())


def copy_warehouse(source: Warehouse, target: Warehouse) -> None:
    """Copy a warehouse that nobody has open. Its catalog says where the data are."""
    target.catalog_path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source.catalog_path, target.catalog_path)
    shutil.copytree(source.lake_path, target.lake_path)
    with closing(sqlite3.connect(target.catalog_path)) as catalog, catalog:
        moved = catalog.execute(
            "UPDATE ducklake_metadata SET value = ? WHERE key = 'data_path' AND value = ?",
            [f"{target.lake_path}/", f"{source.lake_path}/"],
        )
        assert moved.rowcount == 1
