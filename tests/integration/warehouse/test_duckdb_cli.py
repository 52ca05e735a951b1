"""What an analyst types, with the DuckDB program that the project ships."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from warehouse_rows import insert_leads, lead

from enrichment_dagster.store.database import Database
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse, extension_install_sql, reader_sql

_CLI = Path(sys.executable).with_name("duckdb")
_COUNT = "SELECT count(*) FROM events; SELECT count(*) FROM spend"


def _run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    command = [str(_CLI), "-csv", "-noheader", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def filled(ops: Database, warehouse: Warehouse, projector: Projector) -> Warehouse:
    insert_leads(ops, [lead(1), lead(2)])
    projector.project()
    return warehouse


def test_the_statements_open_the_warehouse_read_only(filled: Warehouse, tmp_path: Path) -> None:
    script = tmp_path / "open.sql"
    script.write_text(";\n".join(reader_sql(filled.catalog_path, filled.lake_path)) + ";\n")
    done = _run(tmp_path / "user", "-init", str(script), "-c", _COUNT)
    assert done.stdout.splitlines()[0] == "2"
    refused = _run(tmp_path / "user", "-init", str(script), "-c", "DELETE FROM events")
    assert "read-only" in refused.stderr


def test_the_one_liner_works_once_the_extensions_are_installed(filled: Warehouse, tmp_path: Path) -> None:
    user = tmp_path / "user"
    installed = _run(user, "-c", ";".join(extension_install_sql()))
    assert installed.returncode == 0, installed.stderr
    done = _run(user, "-readonly", f"ducklake:sqlite:{filled.catalog_path}", "-c", _COUNT)
    assert done.stdout.splitlines()[0] == "2", done.stderr
    refused = _run(user, "-readonly", f"ducklake:sqlite:{filled.catalog_path}", "-c", "DELETE FROM events")
    assert "read-only" in refused.stderr


def test_a_path_with_a_quote_is_no_trap(ops: Database, tmp_path: Path) -> None:
    odd = Warehouse(tmp_path / "o'brien" / "catalog.sqlite", tmp_path / "o'brien" / "data")
    from enrichment_dagster.clock import SystemClock

    Projector(ops, odd, SystemClock()).project()
    assert odd.query("FROM events").is_empty()
