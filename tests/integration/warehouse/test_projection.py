"""The projection: complete, exact, repeatable, one at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from warehouse_model import ledger_of, links, moment, subjects
from warehouse_rows import (
    START_MS,
    Lead,
    attempt,
    change_event,
    contents,
    edge,
    event,
    insert_edges,
    insert_leads,
    lead,
    next_rev,
    value,
)

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.crm.values import entries_text
from enrichment_dagster.domain.fields import ENTRIES, FIELDS, Level
from enrichment_dagster.errors import StoreError
from enrichment_dagster.store import tables
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse
from enrichment_dagster.store.warehouse_lock import writer_lock
from enrichment_dagster.store.warehouse_writes import Rows, SliceWriter


def _wide(warehouse: Warehouse, table: str) -> dict[str, dict[str, object]]:
    rows = warehouse.query(f"SELECT * EXCLUDE (provenance) FROM {table}").to_dicts()
    for row in rows:
        row |= {name: json.loads(row[name]) for name in ENTRIES if row.get(name) is not None}
    return {row.pop("subject_key"): row for row in rows}


def test_every_row_arrives_once_and_the_report_counts_them(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    leads = [lead(number) for number in range(120)]
    insert_leads(ops, leads)

    report = projector.project()

    ledger = ledger_of(leads)
    assert report.rows == {
        "events": 120,
        "field_values": len(ledger),
        "contacts": len(subjects(ledger, Level.CONTACT)),
        "companies": len(subjects(ledger, Level.COMPANY)),
        "contact_company": len(links(ledger)),
        "provider_attempts": 360,
        "crm_writes": 120,
        "quarantine": 12,
        "dead_letters": 3,
    }
    assert {table: len(rows) for table, rows in contents(warehouse).items()} == report.rows
    assert (report.lag_rows, report.rejected, report.skipped_because_locked) == (0, 0, False)
    assert (report.seconds > 0, report.watermark) == (True, 1)


def test_an_event_row_keeps_every_column(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    insert_leads(ops, [Lead(event(7, state="due", outcome=None, batch_id=None, delivered_at_ms=None, missing={}))])
    projector.project()

    row = warehouse.query("FROM events").to_dicts()[0]

    received = START_MS + 7_000
    assert row == {
        "work_id": "evt_7",
        "event_id": "evt_7",
        "kind": "event",
        "event_type": "lead_created",
        "source": "hubspot",
        "lane": "standard",
        "subject_system": "hubspot",
        "subject_type": "contact",
        "subject_id": "7",
        "sender_event_id": "s7",
        "occurred_at": moment(received - 250),
        "received_at": moment(received),
        "started_at": moment(received + 1_500),
        "finished_at": moment(received + 2_750),
        "delivered_at": None,
        "state": "due",
        "outcome": None,
        "reason": "",
        "missing": "{}",
        "steps": '[{"lookup":"apollo.person","result":"hit"}]',
        "cost_usd": Decimal("0.048000"),
        "run_id": "r1",
        "batch_id": None,
        "tries": 0,
        "day": date(2026, 9, 21),
        "caused_by": "",
        "depth": 0,
    }


def test_the_ledger_keeps_values_of_every_kind(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    found = {
        "title": 'Head of "Ops"; Müller & Søn',
        "employees": 5_000,
        "annual_revenue": 1_250_000.5,
        "tech_stack": ["C++", "a; b"],
        "founded_year": 1999,
        "executives": [{"name": "Ada", "title": "CTO", "seniority": "c_suite"}, {"name": "Müller; Søn"}],
        "intent_topics": ["ducks", "lakes"],
        "research_summary": "Two sentences. Both true.",
    }
    values = [value(1, "domain:a.example" if k != "title" else "email:x@a.example", k, v) for k, v in found.items()]
    insert_leads(ops, [Lead(event(1), values)])
    projector.project()

    rows = warehouse.query("SELECT field, value, value_text FROM field_values").to_dicts()
    assert {row["field"]: json.loads(row["value"]) for row in rows} == found
    assert {row["field"]: row["value_text"] for row in rows} == {
        "title": found["title"],
        "employees": "5000",
        "annual_revenue": "1250000.5",
        "tech_stack": "C++; a; b",
        "founded_year": "1999",
        "executives": "Ada, CTO; Müller, Søn",
        "intent_topics": "ducks; lakes",
        "research_summary": found["research_summary"],
    }
    company = _wide(warehouse, "companies")["domain:a.example"]
    del found["title"]
    assert {name: company[name] for name in found} == found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_people_companies_and_links_follow_from_the_ledger(
    ops: Database, warehouse: Warehouse, projector: Projector, seed: int
) -> None:
    leads = [lead(number % 40, seed=seed * 1_000 + number) for number in range(90)]
    for number, one in enumerate(leads):  # the same 40 people again and again, in new events
        one.work |= {"work_id": f"evt_{number}", "event_id": f"evt_{number}"}
        for row in one.values:
            row |= {"work_id": f"evt_{number}", "event_id": f"evt_{number}"}
        one.attempts, one.writes, one.quarantine, one.dead = [], [], [], []
    for start in range(0, 90, 30):
        insert_leads(ops, leads[start : start + 30])
        projector.project()

    ledger = ledger_of(leads)
    assert _wide(warehouse, "contacts") == subjects(ledger, Level.CONTACT)
    assert _wide(warehouse, "companies") == subjects(ledger, Level.COMPANY)
    rows = warehouse.query("SELECT contact_key, company_key, since, last_seen_at, last_event_id FROM contact_company")
    assert {row[:2]: row[2:] for row in rows.rows()} == {
        pair: (moment(since), moment(last), event_id) for pair, (since, last, event_id) in links(ledger).items()
    }


def test_provenance_names_where_each_value_came_from(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    key = "email:ada@acme.example"
    insert_leads(
        ops,
        [
            Lead(
                event(1),
                [
                    value(1, key, "title", "CTO", cost_micros=20_000, confidence=0.8),
                    value(1, key, "city", "Bonn", provider="hubspot", confidence=1.0),
                ],
            )
        ],
    )
    projector.project()

    found = json.loads(warehouse.query("SELECT provenance FROM contacts")["provenance"][0])
    at = moment(START_MS + 3_000).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert found == {
        "city": {"provider": "hubspot", "fetched_at": at, "confidence": 1.0, "cost_usd": 0.0, "event_id": "evt_1"},
        "title": {"provider": "apollo", "fetched_at": at, "confidence": 0.8, "cost_usd": 0.02, "event_id": "evt_1"},
    }


BEST: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "latest": ({"fetched_at_ms": 10_000}, {"fetched_at_ms": 11_000, "confidence": 0.1}, "second"),
    "latest-beats-crm": ({"fetched_at_ms": 11_000}, {"fetched_at_ms": 10_000, "provider": "hubspot"}, "first"),
    "crm-at-the-same-moment": ({"provider": "salesforce", "confidence": 0.2}, {"provider": "clearbit"}, "first"),
    "confidence": ({"confidence": 0.5, "provider": "apollo"}, {"confidence": 0.6, "provider": "clearbit"}, "second"),
    "name": ({"provider": "clearbit"}, {"provider": "apollo"}, "second"),
    "order-of-the-plan": ({"precedence": 1, "confidence": 0.1}, {"precedence": 2, "provider": "clearbit"}, "first"),
    "bought-never-counts-as-the-crm": (
        {"provider": "hubspot", "precedence": 0},
        {"precedence": 0, "confidence": 1.0},
        "first",
    ),
    "fresh-at-the-same-moment": ({"stale": True, "precedence": 1}, {"provider": "clearbit", "precedence": 2}, "second"),
    "fresh-and-later": ({"stale": True}, {"fetched_at_ms": 11_000, "confidence": 0.1}, "second"),
    "stale-but-latest": ({"fetched_at_ms": 11_000, "stale": True}, {}, "first"),
    "alternatives-never": ({"confidence": 0.1}, {"fetched_at_ms": 11_000, "chosen": False}, "first"),
}
"""What differs between two values of one moment, the first and the second, and which of them counts."""


def test_the_best_value_rule(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    keys = {case: f"email:p{number}@acme.example" for number, case in enumerate(BEST)}
    number = 0
    for case, (first, second, _) in BEST.items():
        for title, changes in (("first", first), ("second", second)):
            number += 1
            given = {"fetched_at_ms": 10_000, **changes}
            insert_leads(ops, [Lead(event(number), [value(number, keys[case], "title", title, **given)])])
    projector.project()
    found = dict(warehouse.query("SELECT subject_key, title FROM contacts").rows())
    assert {case: found[key] for case, key in keys.items()} == {case: winner for case, (_, _, winner) in BEST.items()}


_ADA, _ACME = "email:ada@acme.example", "domain:acme.example"


REPEATED: list[tuple[str, object, object]] = [
    ("title", "CTO", "CTO"),
    ("employees", 640, 640),
    ("tech_stack", ["Python", "DuckDB"], ["DuckDB", "Python"]),  # in another order
    (
        "executives",
        [{"name": "Ada Lovelace", "title": "CTO", "email": "ada@acme.example"}, {"name": "Bob"}],
        [{"name": "Ada Lovelace", "title": "CTO"}, {"name": "Bob"}],  # as the CRM shows them
    ),
]


def test_a_crm_that_repeats_a_provider_does_not_take_its_provenance(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    """We wrote the value into the CRM ourselves; read back, it still is the provider's."""
    first, second = [], []
    for name, ours, theirs in REPEATED:
        subject = _ADA if name == "title" else _ACME
        first.append(value(1, subject, name, ours))
        second.append(value(2, subject, name, theirs, provider="hubspot", precedence=0))
    insert_leads(ops, [Lead(event(1), first)])
    insert_leads(ops, [Lead(event(2), second)])
    projector.project()

    for name, ours, _ in REPEATED:
        table = "contacts" if name == "title" else "companies"
        row = warehouse.query(f"SELECT {name}, provenance FROM {table}").row(0)
        assert (json.loads(row[0]) if name == "executives" else row[0]) == ours
        assert json.loads(row[1])[name]["provider"] == "apollo", name


OWN: dict[str, dict[str, Any]] = {
    "another value": {"found": "CEO"},
    "an alternative was never written": {"found": "CTO", "chosen": False},
    "another CRM": {"found": "CTO", "provider": "salesforce"},
}


def test_a_crm_keeps_the_provenance_of_a_value_of_its_own(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    keys = {case: f"email:p{number}@acme.example" for number, case in enumerate(OWN)}
    insert_leads(ops, [Lead(event(1), [value(1, keys[case], "title", **before) for case, before in OWN.items()])])
    own = [value(2, key, "title", "CTO", provider="hubspot", precedence=0) for key in keys.values()]
    insert_leads(ops, [Lead(event(2), own)])
    projector.project()
    rows = warehouse.query("SELECT subject_key, title, provenance ->> '$.title.provider' FROM contacts").rows()
    assert sorted(rows) == [(key, "CTO", "hubspot") for key in keys.values()]


def test_the_origin_is_found_behind_other_values(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    said = [("apollo", "CTO"), ("clearbit", "CEO"), ("hubspot", "CTO")]
    for number, (provider, title) in enumerate(said, start=1):
        insert_leads(ops, [Lead(event(number), [value(number, _ADA, "title", title, provider=provider)])])
        projector.project()
    row = warehouse.query("SELECT title, provenance ->> '$.title.event_id', updated_at FROM contacts").row(0)
    assert row == ("CTO", "evt_1", moment(START_MS + 5_000))


class TestEdges:
    _OTHER = "domain:other.example"

    def _company(self, warehouse: Warehouse) -> object:
        return warehouse.query("SELECT company_domain FROM contacts")["company_domain"].item()

    def _know(self, ops: Database, *edges: dict[str, object]) -> None:
        insert_leads(ops, [Lead(event(1), [value(1, _ADA, "title", "CTO")])])
        insert_edges(ops, *edges)

    def test_an_edge_keeps_every_column(self, ops: Database, warehouse: Warehouse, projector: Projector) -> None:
        records = {"contact_record": "hubspot:contact:1", "company_record": "hubspot:company:2"}
        mine = edge(_ADA, _ACME, kind="associated", system="hubspot", ended_at_ms=START_MS + 5, **records)
        insert_edges(ops, mine)
        projector.project()
        assert warehouse.query("FROM contact_company").to_dicts() == [
            {
                "contact_key": _ADA, "company_key": _ACME, "kind": "associated", "system": "hubspot", **records,
                "since": moment(START_MS), "last_seen_at": moment(START_MS), "ended_at": moment(START_MS + 5),
                "last_event_id": "evt_1",
            }
        ]  # fmt: skip

    def test_a_new_edge_moves_a_person_without_any_value(
        self, ops: Database, warehouse: Warehouse, projector: Projector
    ) -> None:
        self._know(ops, edge(_ADA, _ACME))
        projector.project()
        assert self._company(warehouse) == "acme.example"
        insert_edges(ops, edge(_ADA, self._OTHER, last_seen_at_ms=START_MS + 1))
        projector.project()
        assert self._company(warehouse) == "other.example"

    def test_an_edge_that_has_ended_does_not_count(
        self, ops: Database, warehouse: Warehouse, projector: Projector
    ) -> None:
        self._know(ops, edge(_ADA, _ACME), edge(_ADA, self._OTHER, last_seen_at_ms=START_MS + 1))
        projector.project()
        ended = {"last_seen_at_ms": START_MS + 1, "ended_at_ms": START_MS + 2}
        insert_edges(ops, edge(_ADA, self._OTHER, **ended))
        projector.project()
        assert self._company(warehouse) == "acme.example"

    def test_of_two_companies_at_once_the_one_whose_values_were_stored_counts(
        self, ops: Database, warehouse: Warehouse, projector: Projector
    ) -> None:
        linked = edge(_ADA, _ACME, kind="associated", system="hubspot")
        self._know(ops, linked, edge(_ADA, self._OTHER), edge(_ADA, "record:hubspot:company:3", last_seen_at_ms=2**41))
        projector.project()
        assert self._company(warehouse) == "other.example"

    @pytest.mark.parametrize("wrong", [{"kind": "friend"}, {"company_key": "acme.example"}, {"since_at_ms": -1}])
    def test_an_edge_that_breaks_a_rule_goes_to_quarantine(
        self, ops: Database, warehouse: Warehouse, projector: Projector, wrong: dict[str, object]
    ) -> None:
        insert_edges(ops, edge(_ADA, _ACME), edge("email:x@a.example", _ACME) | wrong)
        assert projector.project().rejected == 1
        assert warehouse.query("SELECT contact_key FROM contact_company").rows() == [(_ADA,)]


def test_the_ledger_shows_entries_as_a_crm_does(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    """The rule for a repeating CRM compares these texts."""
    entries = {
        name: [{key: f"{key}; {number}" for key in keys} for number in range(3)] + [{keys[0]: "alone"}]
        for name, keys in ENTRIES.items()
    }
    insert_leads(ops, [Lead(event(1), [value(1, _ACME, name, found) for name, found in entries.items()])])
    projector.project()
    shown = dict(warehouse.query("SELECT field, value_text FROM field_values").rows())
    assert shown == {name: entries_text(entries[name], keys) for name, keys in ENTRIES.items()}


@pytest.mark.parametrize("in_flight", ["sent", "pending"])
def test_calls_in_flight_wait_until_they_are_settled(
    ops: Database, warehouse: Warehouse, projector: Projector, in_flight: str
) -> None:
    insert_leads(ops, [Lead(event(1), attempts=[attempt(1, "apollo", in_flight, settled_at_ms=None)])])
    projector.project()
    assert warehouse.query("FROM provider_attempts").is_empty()

    with ops.write() as connection:
        rev = next_rev(connection)
        connection.execute(tables.attempts.update().values(state="unknown", settled_at_ms=START_MS, rev=rev))
    projector.project()
    with ops.write() as connection:
        rev = next_rev(connection)
        connection.execute(tables.attempts.update().values(state="hit", cost_micros=20_000, rev=rev))
    projector.project()

    assert warehouse.query("SELECT outcome, cost_usd FROM provider_attempts").rows() == [("hit", Decimal("0.02"))]
    assert warehouse.query("SELECT calls, hits, unknown FROM provider_performance").rows() == [(1, 1, 0)]


def test_a_changed_event_replaces_its_row(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    insert_leads(ops, [lead(number) for number in range(20)])
    projector.project()
    for state in ("due", "assigned", "done"):
        change_event(ops, "evt_3", state=state, outcome="enriched" if state == "done" else None, cost_micros=1)
        report = projector.project()
        assert report.rows == {"events": 1}

    rows = warehouse.query("SELECT state, outcome, cost_usd FROM events WHERE work_id = 'evt_3'").rows()
    assert rows == [("done", "enriched", Decimal("0.000001"))]
    assert warehouse.query("SELECT count(*) AS n FROM events")["n"][0] == 20


def test_projecting_again_changes_nothing(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    insert_leads(ops, [lead(number) for number in range(60)])
    projector.project()
    before = contents(warehouse)

    assert projector.project().rows == {}
    assert contents(warehouse) == before

    with writer_lock(warehouse.lock_path) as held, warehouse.connect_writer() as lake:
        assert held
        lake.execute("INSERT INTO projection_watermark SELECT max(seq) + 1, 0, now() FROM projection_watermark")
    assert projector.project().rows["events"] == 60
    assert contents(warehouse) == before


def test_a_backlog_is_copied_in_slices_that_never_cut_a_rev(ops: Database, warehouse: Warehouse) -> None:
    leads = [lead(number) for number in range(100)]
    for start in range(0, 100, 4):
        insert_leads(ops, leads[start : start + 4])
    report = Projector(ops, warehouse, SystemClock(), slice_rows=200).project()

    assert report.lag_rows == 0
    assert _wide(warehouse, "contacts") == subjects(ledger_of(leads), Level.CONTACT)
    marks = warehouse.query("SELECT rev FROM projection_watermark ORDER BY seq")["rev"].to_list()
    assert len(marks) > 5
    assert marks == sorted(set(marks))
    assert marks[-1] == 25


def test_a_second_projector_leaves_at_once(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    insert_leads(ops, [lead(1)])
    with writer_lock(warehouse.lock_path) as held:
        assert held
        report = projector.project()
    assert (report.skipped_because_locked, report.rows, report.lag_rows) == (True, {}, None)
    assert projector.project().rows["events"] == 1


def test_an_empty_store_makes_an_empty_warehouse(ops: Database, warehouse: Warehouse) -> None:
    assert Projector(ops, warehouse, SystemClock()).project().rows == {}
    assert all(rows == [] for rows in contents(warehouse).values())
    assert warehouse.query("SELECT count(*) AS n FROM field_coverage")["n"][0] == len(FIELDS)


def test_a_reader_of_no_warehouse_is_told_so(warehouse: Warehouse) -> None:
    with pytest.raises(StoreError, match="no warehouse yet"):
        warehouse.query("SELECT 1")


def test_a_broken_catalog_is_a_store_error(warehouse: Warehouse, projector: Projector) -> None:
    warehouse.catalog_path.write_bytes(b"not a database, but long enough to be taken for one" * 50)
    with pytest.raises(StoreError, match="file is not a database"):
        projector.project()


def test_a_commit_that_fails_says_why(
    ops: Database, warehouse: Warehouse, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the transaction: the rollback after it has an error of its own, which says nothing."""
    insert_leads(ops, [lead(1)])
    written = SliceWriter.write

    def overtaken(self: SliceWriter, rows: Mapping[str, Rows]) -> None:
        written(self, rows)
        with warehouse.connect_writer() as other:
            other.execute("ALTER TABLE events ADD COLUMN of_another_writer INTEGER")

    with monkeypatch.context() as patched:
        patched.setattr(SliceWriter, "write", overtaken)
        with pytest.raises(StoreError, match="Failed to commit"):
            projector.project()


def test_a_newer_warehouse_is_refused(warehouse: Warehouse, projector: Projector) -> None:
    projector.project()
    with warehouse.connect_writer() as lake:
        lake.execute("INSERT INTO schema_version VALUES (99, '', ?)", [datetime(2199, 1, 1, tzinfo=UTC)])
    with pytest.raises(StoreError, match="schema version 99"):
        projector.project()
