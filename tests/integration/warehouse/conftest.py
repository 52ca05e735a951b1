from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from warehouse_rows import open_ops

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse


@pytest.fixture
def ops(tmp_path: Path) -> Iterator[Database]:
    database = open_ops(tmp_path)
    yield database
    database.dispose()


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse" / "catalog.sqlite", tmp_path / "warehouse" / "data")


@pytest.fixture
def projector(ops: Database, warehouse: Warehouse) -> Projector:
    return Projector(ops, warehouse, SystemClock())
