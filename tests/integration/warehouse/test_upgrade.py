"""A warehouse of an older release is upgraded in place: nothing is lost, and its rows count as they did."""

from __future__ import annotations

import json

import pytest
from warehouse_model import moment
from warehouse_rows import START_MS, Lead, attempt, contents, edge, event, insert_edges, insert_leads, value

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.maintenance import maintain
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse
from enrichment_dagster.store.warehouse_schema import ensure_schema
from enrichment_dagster.store.warehouse_sql import schema_versions, sql

_ACME = "domain:acme.example"
_AT = f"make_timestamptz({START_MS} * 1000)"
_OLD_ROWS = f"""
INSERT INTO events BY NAME SELECT
    'old' AS work_id, 'old' AS event_id, 'event' AS kind, 'lead_created' AS event_type, 'hubspot' AS source,
    'standard' AS lane, 'hubspot' AS subject_system, 'contact' AS subject_type, '1' AS subject_id,
    's1' AS sender_event_id, {_AT} AS occurred_at, {_AT} AS received_at, 'done' AS state, 'enriched' AS outcome,
    '' AS reason, '{{}}' AS missing, 0.02 AS cost_usd, 'r' AS run_id, 0 AS tries, DATE '2026-09-21' AS day;
INSERT INTO field_values BY NAME SELECT
    1000 + number AS value_id, 'old' AS work_id, 'old' AS event_id, '{_ACME}' AS subject_key, field,
    '"' || said || '"' AS value, said AS value_text, provider, confidence, {_AT} AS fetched_at, 0 AS cost_usd,
    '' AS request_id
FROM (VALUES
    (1, 'industry', 'robots', 'apollo', 0.5),
    (2, 'industry', 'toys', 'clearbit', 0.9),
    (3, 'company_city', 'Bonn', 'apollo', 0.9),
    (4, 'company_city', 'Berlin', 'hubspot', 0.1)
) AS old(number, field, said, provider, confidence);
INSERT INTO companies BY NAME SELECT
    '{_ACME}' AS subject_key, 'toys' AS industry, ['Python'] AS tech_stack, '{{}}' AS provenance,
    {_AT} AS first_seen_at, {_AT} AS updated_at;
INSERT INTO contact_company BY NAME SELECT
    'email:ada@acme.example' AS contact_key, '{_ACME}' AS company_key, {_AT} AS since, {_AT} AS last_seen_at,
    'old' AS last_event_id, 1000 AS last_value_id;
INSERT INTO provider_attempts BY NAME SELECT
    'old' AS attempt_id, 'apollo' AS provider, 'company' AS purpose, '{_ACME}' AS subject_key, 'old' AS event_id,
    'hit' AS outcome, '' AS reason, '' AS request_id, 0.02 AS cost_usd, {_AT} AS sent_at, {_AT} AS settled_at;
"""


@pytest.fixture
def old(warehouse: Warehouse) -> Warehouse:
    """A warehouse as version 1 left it: rows in Parquet and in the catalog, and a view of its time."""
    with warehouse.connect_writer() as lake:
        for text in (sql("schema_version"), sql("warehouse_schema_001"), sql("warehouse_options"), _OLD_ROWS):
            lake.execute(text)
        lake.execute(
            "CREATE VIEW spend AS SELECT provider, sum(cost_usd) AS cost_usd FROM provider_attempts GROUP BY ALL"
        )
        lake.execute("INSERT INTO schema_version VALUES (1, 'digest of version 1', now())")
    return warehouse


def _columns(warehouse: Warehouse, table: str) -> dict[str, str]:
    return dict(warehouse.query(f"SELECT column_name, column_type FROM (DESCRIBE {table})").rows())


def test_old_rows_stay_and_have_nothing_in_the_new_columns(old: Warehouse, projector: Projector) -> None:
    before = contents(old)
    projector.project()
    after = contents(old)
    del before["contact_company"], after["contact_company"]  # made anew, see below
    assert {table: len(rows) for table, rows in after.items()} == {table: len(rows) for table, rows in before.items()}
    for table, rows in before.items():
        for row, upgraded in zip(rows, after[table], strict=True):
            assert upgraded[: len(row)] == row
            assert set(upgraded[len(row) :]) <= {None}
    assert old.query("SELECT max(version) AS version FROM schema_version")["version"][0] == schema_versions()[-1][0]


def test_old_links_are_edges_that_enrichments_found(old: Warehouse, ops: Database, projector: Projector) -> None:
    again = edge("email:ada@acme.example", _ACME, last_seen_at_ms=START_MS + 5)
    projector.project()
    assert old.query("SELECT kind, system, last_seen_at, ended_at FROM contact_company").rows() == [
        ("employed", "", moment(START_MS), None)
    ]
    insert_edges(ops, again)
    projector.project()
    assert old.query("SELECT last_seen_at FROM contact_company").rows() == [(moment(START_MS + 5),)]


def test_an_upgraded_warehouse_has_the_tables_of_a_new_one(old: Warehouse, ops: Database, projector: Projector) -> None:
    projector.project()
    fresh = Warehouse(old.catalog_path.parent / "fresh.sqlite", old.lake_path.parent / "fresh")
    Projector(ops, fresh, SystemClock()).project()
    for table in contents(fresh):
        assert _columns(old, table) == _columns(fresh, table)


def test_old_values_compete_as_they_did(old: Warehouse, ops: Database, projector: Projector) -> None:
    """Without precedence the CRM comes first and then the higher confidence; NULL in ``chosen`` means chosen."""
    people = [{"name": "Ada Lovelace", "title": "CTO"}]
    insert_leads(ops, [Lead(event(1), [value(1, _ACME, "executives", people)])])
    projector.project()
    row = old.query("SELECT industry, company_city, executives FROM companies").row(0)
    assert (*row[:2], json.loads(row[2])) == ("toys", "Berlin", people)


def test_old_and_new_calls_are_counted_together(old: Warehouse, ops: Database, projector: Projector) -> None:
    hedge = attempt(1, "apollo", "hit", role="hedge", purpose="company", event_id="old", sent_at_ms=START_MS)
    insert_leads(ops, [Lead(event(1), attempts=[hedge])])
    projector.project()
    row = old.query("SELECT calls, hits, hedge_calls, hedge_cost_usd::DOUBLE, cost_per_hit_usd FROM spend").row(0)
    assert row == (2, 2, 1, 0.02, pytest.approx(0.02))


def test_maintenance_of_an_upgraded_warehouse_changes_no_contents(
    old: Warehouse, ops: Database, projector: Projector
) -> None:
    insert_leads(ops, [Lead(event(1), [value(1, _ACME, "employees", 640)], [attempt(1, "apollo", "hit")])])
    projector.project()
    before = contents(old)
    assert maintain(old).flushed_rows > 0
    assert contents(old) == before


def test_upgrading_twice_is_upgrading_once(old: Warehouse) -> None:
    with old.connect_writer() as lake:
        ensure_schema(lake)
        before = lake.execute("SELECT count(*) FROM ducklake_snapshots('warehouse')").fetchone()
        ensure_schema(lake)
        assert lake.execute("SELECT count(*) FROM ducklake_snapshots('warehouse')").fetchone() == before
