"""The same warehouse with its catalog in Postgres."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from warehouse_rows import change_event, contents, insert_leads, lead

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.domain.fields import FIELDS
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.maintenance import maintain
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse

pytestmark = pytest.mark.postgres


@pytest.fixture
def catalog_url(postgres_database: str) -> str:
    """A database of its own, as DuckDB's Postgres extension takes it."""
    return make_url(postgres_database).set(drivername="postgresql").render_as_string(hide_password=False)


def test_projection_and_maintenance(ops: Database, warehouse: Warehouse, tmp_path: Path, catalog_url: str) -> None:
    remote = Warehouse(tmp_path / "pg" / "lock", tmp_path / "pg" / "data", catalog_url)
    for number in range(4):
        insert_leads(ops, [lead(number * 10 + k) for k in range(10)])
        change_event(ops, "evt_1", tries=number)
        Projector(ops, remote, SystemClock()).project()
    Projector(ops, warehouse, SystemClock()).project()
    assert contents(remote) == contents(warehouse)
    maintain(remote, keep=timedelta(0))
    assert contents(remote) == contents(warehouse)
    assert remote.query("SELECT count(*) AS n FROM field_coverage")["n"][0] == len(FIELDS)
