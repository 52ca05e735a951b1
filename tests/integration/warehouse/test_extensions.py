"""Only the extensions that the project itself loads may come without a signature."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pytest

from enrichment_dagster.store.warehouse import Warehouse
from enrichment_dagster.store.warehouse_extensions import extension_path, quoted

_Open = Callable[[Warehouse], AbstractContextManager[duckdb.DuckDBPyConnection]]


@pytest.mark.parametrize("opened", [Warehouse.connect_reader, Warehouse.connect_writer])
def test_no_later_statement_loads_an_unsigned_extension(
    opened: _Open, warehouse: Warehouse, empty_warehouse: Warehouse, tmp_path: Path
) -> None:
    place = empty_warehouse if opened is Warehouse.connect_reader else warehouse
    changed = bytearray(extension_path("ducklake").read_bytes())
    changed[-256:] = bytes(256)  # its signature
    foreign = tmp_path / "foreign.duckdb_extension"
    foreign.write_bytes(changed)
    with opened(place) as lake:
        with pytest.raises(duckdb.Error, match="signature"):
            lake.execute(f"LOAD {quoted(foreign)}")
        with pytest.raises(duckdb.Error, match="allow_unsigned_extensions"):
            lake.execute("SET allow_unsigned_extensions = true")
