"""A warehouse whose folder was moved or restored elsewhere: catalog and data belong together, wherever they are."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from warehouse_rows import contents, insert_leads, lead

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.maintenance import maintain
from enrichment_dagster.store.projector import SLICE_ROWS, Projector
from enrichment_dagster.store.warehouse import Warehouse
from enrichment_dagster.store.warehouse_extensions import load_sql


@pytest.fixture
def moved(ops: Database, warehouse: Warehouse, projector: Projector, tmp_path: Path) -> Warehouse:
    """A warehouse with rows in Parquet, moved as a whole."""
    insert_leads(ops, [lead(1), lead(2)])
    projector.project()
    maintain(warehouse)
    (tmp_path / "warehouse").rename(tmp_path / "elsewhere")
    return Warehouse(tmp_path / "elsewhere" / "catalog.sqlite", tmp_path / "elsewhere" / "data")


def test_it_is_read_where_it_is(moved: Warehouse) -> None:
    assert moved.query("SELECT count(title) + count(email) AS n FROM contacts")["n"][0] > 0


def test_it_is_written_where_it_is(ops: Database, moved: Warehouse, tmp_path: Path) -> None:
    insert_leads(ops, [lead(3)])
    Projector(ops, moved, SystemClock()).project()
    fresh = Warehouse(tmp_path / "fresh" / "catalog.sqlite", tmp_path / "fresh" / "data")
    Projector(ops, fresh, SystemClock(), SLICE_ROWS).project()
    assert contents(moved) == contents(fresh)
    assert not (tmp_path / "warehouse").exists()


def test_a_writer_tells_those_who_ask_the_catalog(moved: Warehouse) -> None:
    """As DuckDB's own command line does."""
    with moved.connect_writer():
        pass
    with duckdb.connect(config={"allow_unsigned_extensions": True}) as plain:
        for statement in load_sql("sqlite"):
            plain.execute(statement)
        plain.execute(f"ATTACH 'ducklake:sqlite:{moved.catalog_path}' AS lake (READ_ONLY)")
        assert plain.execute("SELECT count(title) + count(email) FROM lake.contacts").fetchone() > (0,)
