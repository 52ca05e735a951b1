"""The SQL files and the field catalogue name the same fields with the same types."""

from __future__ import annotations

import pytest

from enrichment_dagster.domain.fields import FIELDS, Kind, Level
from enrichment_dagster.schemas.tables import table_schema
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse
from enrichment_dagster.store.warehouse_schema import ensure_schema
from enrichment_dagster.store.warehouse_sql import schema_versions

_SQL_TYPES = {Kind.INTEGER: "BIGINT", Kind.NUMBER: "DOUBLE", Kind.TAGS: "VARCHAR[]", Kind.ENTRIES: "JSON"}
_OWN_COLUMNS = {"subject_key", "provenance", "first_seen_at", "updated_at"}


def _columns(warehouse: Warehouse, table: str) -> dict[str, str]:
    return dict(warehouse.query(f"SELECT column_name, column_type FROM (DESCRIBE {table})").rows())


@pytest.mark.parametrize(("table", "level"), [("contacts", Level.CONTACT), ("companies", Level.COMPANY)])
def test_a_wide_table_has_one_typed_column_for_each_field(empty_warehouse: Warehouse, table: str, level: Level) -> None:
    expected = {name: _SQL_TYPES.get(s.kind, "VARCHAR") for name, s in FIELDS.items() if s.level is level}
    if level is Level.CONTACT:
        expected["company_domain"] = "VARCHAR"
    found = _columns(empty_warehouse, table)
    assert {name: kind for name, kind in found.items() if name not in _OWN_COLUMNS} == expected


def test_coverage_counts_every_field(empty_warehouse: Warehouse) -> None:
    rows = empty_warehouse.query("SELECT field, level FROM field_coverage").rows()
    assert dict(rows) == {name: spec.level.value for name, spec in FIELDS.items()}


@pytest.mark.parametrize(
    "table",
    [
        "events",
        "field_values",
        "contacts",
        "companies",
        "contact_company",
        "provider_attempts",
        "crm_writes",
        "quarantine",
        "dead_letters",
    ],
)
def test_the_checked_columns_are_the_table_s(empty_warehouse: Warehouse, table: str) -> None:
    checked = set(table_schema(table).columns)
    found = set(_columns(empty_warehouse, table))
    assert {name.replace("cost_micros", "cost_usd") for name in checked} == found - {"value_text"}


def test_setting_up_twice_writes_nothing(warehouse: Warehouse, projector: Projector) -> None:
    projector.project()
    with warehouse.connect_writer() as lake:
        before = lake.execute("SELECT count(*) FROM ducklake_snapshots('warehouse')").fetchone()
        ensure_schema(lake)
        assert lake.execute("SELECT count(*) FROM ducklake_snapshots('warehouse')").fetchone() == before


def test_a_set_up_that_was_cut_off_is_finished(warehouse: Warehouse, projector: Projector) -> None:
    projector.project()
    with warehouse.connect_writer() as lake:
        lake.execute("DROP VIEW spend")
        version = schema_versions()[-1][0]
        lake.execute("INSERT INTO schema_version VALUES (?, '', now())", [version])  # as before options and views
        ensure_schema(lake)
    assert warehouse.query("FROM spend").is_empty()


def test_only_append_only_tables_keep_rows_in_the_catalog(empty_warehouse: Warehouse) -> None:
    rows = empty_warehouse.query(
        "SELECT scope_entry FROM warehouse.options() WHERE option_name = 'data_inlining_row_limit' AND value = '0'"
    )
    assert set(rows["scope_entry"]) == {
        f"main.{table}"
        for table in (
            "events",
            "contacts",
            "companies",
            "contact_company",
            "provider_attempts",
            "crm_writes",
            "dead_letters",
        )
    }
