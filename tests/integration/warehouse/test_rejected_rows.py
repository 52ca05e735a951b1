"""Rows that break their table's rules: put aside in quarantine with the reason, never lost, never in the way."""

from __future__ import annotations

import json

from sqlalchemy import text
from warehouse_rows import START_MS, Lead, attempt, change_event, contents, crm_write, event, insert_leads, lead, value

from enrichment_dagster.store.database import Database
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse

_ADA = "email:ada@acme.example"


BAD: list[tuple[Lead, str, str]] = [
    (Lead(event(1, state="dancing")), "events", "state: not_known"),
    (Lead(event(2, day="yesterday")), "events", "day: missing"),
    (Lead(event(3, cost_micros=-1)), "events", "cost_micros: out_of_range"),
    (Lead(event(4, occurred_at_ms=10**15)), "events", "occurred_at: out_of_range"),
    (Lead(event(5), [value(5, _ADA, "shoe_size", 42)]), "field_values", "field: not_known; value: wrong_kind"),
    (Lead(event(6), [value(6, "domain:a.example", "employees", "many")]), "field_values", "value: wrong_kind"),
    (Lead(event(7), [value(7, "ada", "title", "CTO")]), "field_values", "subject_key: not_a_subject"),
    (Lead(event(8), [value(8, _ADA, "title", "CTO", confidence=1.5)]), "field_values", "confidence: out_of_range"),
    (
        Lead(event(9), [value(9, "domain:a.example", "annual_revenue", float("nan"))]),
        "field_values",
        "value: wrong_kind",
    ),
    (Lead(event(10), [value(10, "domain:a.example", "executives", ["Ada"])]), "field_values", "value: wrong_kind"),
    (
        Lead(event(11), [value(11, _ADA, "title", "CTO", precedence=2**31)]),
        "field_values",
        "precedence: out_of_range",
    ),
    (Lead(event(12), attempts=[attempt(12, "apollo", "hit", units=-1)]), "provider_attempts", "units: out_of_range"),
    (Lead(event(13), writes=[crm_write(13, status="maybe")]), "crm_writes", "status: not_known"),
]
"""What a lead leaves, numbered from 1, with the table that refuses a row of it and the reason."""


def test_bad_rows_are_put_aside_and_the_rest_goes_on(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    insert_leads(ops, [*(bad for bad, _, _ in BAD), lead(99)])

    assert projector.project().rejected == len(BAD)
    rows = {row["event_id"]: row for row in warehouse.query("FROM quarantine").to_dicts()}
    assert len(rows) == warehouse.query("FROM quarantine").height == len(BAD)
    for number, (_, table, reason) in enumerate(BAD, start=1):
        row = rows[f"evt_{number}"]
        assert row["origin"] == table
        assert reason in row["reason"]
        assert json.loads(row["raw"])["event_id"] == f"evt_{number}"
    assert warehouse.query("SELECT work_id FROM field_values WHERE work_id = 'evt_99'").height == 14


def test_a_value_of_a_wrong_storage_type_is_put_aside(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    insert_leads(ops, [lead(1), lead(2), lead(3)])
    with ops.write() as connection:  # SQLite keeps a text in an integer column
        connection.execute(text("UPDATE work SET started_at_ms = 'soon' WHERE work_id = 'evt_2'"))

    assert projector.project().rejected == 1
    assert sorted(warehouse.query("SELECT work_id FROM events")["work_id"]) == ["evt_1", "evt_3"]
    rows = warehouse.query("SELECT reason, raw FROM quarantine WHERE origin = 'events'").to_dicts()
    assert [row["reason"] for row in rows] == ["wrong type: started_at"]
    assert json.loads(rows[0]["raw"])["started_at"] == "soon"


def test_a_row_that_is_repaired_enters_its_table(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    insert_leads(ops, [Lead(event(1, state="dancing"))])
    projector.project()
    assert warehouse.query("FROM events").is_empty()
    change_event(ops, "evt_1", state="done")
    assert projector.project().rejected == 0
    assert warehouse.query("SELECT state FROM events")["state"].to_list() == ["done"]
    assert warehouse.query("FROM quarantine").height == 1


def test_refusing_a_row_twice_keeps_one_quarantine_row(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    insert_leads(ops, [Lead(event(1, day="?"), [value(1, _ADA, "title", "CTO", fetched_at_ms=START_MS)])])
    projector.project()
    before = contents(warehouse)
    with warehouse.connect_writer() as lake:
        lake.execute("INSERT INTO projection_watermark VALUES (99, 0, now())")
    projector.project()
    assert contents(warehouse) == before
