"""The same warehouse with its catalog in Postgres."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from warehouse_rows import change_event, contents, insert_leads, lead

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.maintenance import maintain
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse

_URL = os.environ.get("ENRICHMENT_TEST_POSTGRES_URL", "")

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not _URL, reason="no PostgreSQL server: set ENRICHMENT_TEST_POSTGRES_URL to run this"),
]


@pytest.fixture
def catalog_url() -> Iterator[str]:
    """A database of its own."""
    name = f"catalog_{uuid4().hex[:12]}"
    server = create_engine(make_url(_URL).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(_URL).set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


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
    assert remote.query("SELECT count(*) AS n FROM field_coverage")["n"][0] == 24
