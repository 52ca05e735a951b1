"""The views' numbers, against the same numbers computed in Python from the operational rows."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from warehouse_model import ledger_of, moment, subjects
from warehouse_rows import START_MS, Lead, attempt, edge, event, insert_edges, insert_leads, lead, value

from enrichment_dagster.domain.fields import FIELDS, Level
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse

_STAGES = {
    "end_to_end": ("delivered_at_ms", "occurred_at_ms"),
    "ingest_lag": ("received_at_ms", "occurred_at_ms"),
    "queue_wait": ("started_at_ms", "received_at_ms"),
    "processing": ("finished_at_ms", "started_at_ms"),
    "delivery": ("delivered_at_ms", "finished_at_ms"),
}


def _quantile(numbers: Sequence[float], share: float) -> float:
    ordered = sorted(numbers)
    place = (len(ordered) - 1) * share
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@pytest.fixture
def leads(ops: Database, projector: Projector) -> list[Lead]:
    made = [lead(number) for number in range(150)]
    for number, one in enumerate(made):
        received = one.work["received_at_ms"]
        one.work |= {
            "occurred_at_ms": received - number * 13 % 700,
            "started_at_ms": received + number * 37 % 5_000 + 1,
            "finished_at_ms": received + 6_000 + number * 7 % 900,
            "delivered_at_ms": None if number % 9 == 0 else received + 8_000 + number * 11 % 300,
        }
        if number % 20 == 7:
            one.work |= {"kind": "gap_fill", "work_id": f"evt_{number}:gap1"}
        if number % 20 == 9:  # a rule ended it, no run had it
            one.work |= {"outcome": "skipped", "reason": "soft_bounce", "run_id": "", "delivered_at_ms": None}
    insert_leads(ops, made)
    projector.project()
    return made


def test_latency_by_event_type(leads: list[Lead], warehouse: Warehouse) -> None:
    rows = {row["event_type"]: row for row in warehouse.query("FROM latency_by_event_type").to_dicts()}
    assert set(rows) == {"lead_created", "opportunity_created"}
    for event_type, row in rows.items():
        works = [one.work for one in leads if one.work["event_type"] == event_type and one.work["kind"] == "event"]
        works = [work for work in works if work["outcome"] != "skipped" or work["run_id"]]
        assert row["events"] == len(works)
        assert row["delivered"] == sum(work["delivered_at_ms"] is not None for work in works)
        for stage, (end, start) in _STAGES.items():
            spans = [(work[end] - work[start]) / 1_000 for work in works if work[end] is not None]
            for percent in (50, 95, 99):
                assert row[f"{stage}_p{percent}_s"] == pytest.approx(_quantile(spans, percent / 100)), (stage, percent)


def test_provider_performance(leads: list[Lead], warehouse: Warehouse) -> None:
    rows = {(row["provider"], row["purpose"]): row for row in warehouse.query("FROM provider_performance").to_dicts()}
    assert {provider for provider, _ in rows} == {"apollo", "clearbit", "zerobounce"}
    for (provider, purpose), row in rows.items():
        calls = [c for one in leads for c in one.attempts if (c["provider"], c["purpose"]) == (provider, purpose)]
        ends = Counter(call["state"] for call in calls)
        cost = sum(call["cost_micros"] for call in calls) / 1e6
        assert (row["calls"], row["hits"], row["misses"], row["errors"], row["unknown"]) == (
            len(calls),
            ends["hit"],
            ends["miss"],
            ends["error"],
            ends["unknown"],
        )
        answered = ends["hit"] + ends["miss"]
        assert row["success_rate"] == pytest.approx(answered / (answered + ends["error"]))
        assert row["hit_rate"] == pytest.approx(ends["hit"] / answered)
        assert float(row["cost_usd"]) == pytest.approx(cost)
        assert row["cost_per_hit_usd"] == pytest.approx(cost / ends["hit"])
        for percent in (50, 95):
            assert row[f"p{percent}_ms"] == pytest.approx(_quantile([c["latency_ms"] for c in calls], percent / 100))


def test_misses_are_not_failures(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    insert_leads(ops, [Lead(event(n), attempts=[attempt(n, "apollo", "miss")]) for n in range(3)])
    projector.project()
    row = warehouse.query("SELECT success_rate, hit_rate, cost_per_hit_usd FROM provider_performance").row(0)
    assert row == (1.0, 0.0, None)


def test_a_call_that_the_kill_switch_kept_back_was_never_sent(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    kept_back = attempt(2, "apollo", "error", reason="spending_stopped")
    insert_leads(ops, [Lead(event(1), attempts=[attempt(1, "apollo", "hit")]), Lead(event(2), attempts=[kept_back])])
    projector.project()
    assert warehouse.query("SELECT calls, errors, success_rate FROM provider_performance").row(0) == (1, 0, 1.0)
    assert warehouse.query("SELECT sum(calls)::INT FROM spend").row(0) == (1,)


def test_what_a_hit_costs_is_told_to_the_millionth(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    calls = [Lead(event(n), attempts=[attempt(n, "apollo", "hit", cost_micros=50_000)]) for n in range(7)]
    insert_leads(ops, calls)
    projector.project()
    assert warehouse.query("SELECT cost_per_hit_usd FROM spend").row(0) == (0.05,)


def test_field_coverage(leads: list[Lead], warehouse: Warehouse) -> None:
    rows = {row["field"]: row for row in warehouse.query("FROM field_coverage").to_dicts()}
    assert set(rows) == set(FIELDS)
    ledger = ledger_of(leads)
    for level in Level:
        wide = subjects(ledger, level)
        for name in (name for name, spec in FIELDS.items() if spec.level is level):
            filled = sum(row[name] is not None for row in wide.values())
            assert rows[name] == {
                "level": level.value,
                "field": name,
                "subjects": len(wide),
                "filled": filled,
                "share": pytest.approx(filled / len(wide)),
            }


def test_spend(ops: Database, leads: list[Lead], warehouse: Warehouse, projector: Projector) -> None:
    late = attempt(900, "apollo", "hit", event_id="evt_gone", sent_at_ms=START_MS + 86_400_000)
    insert_leads(ops, [Lead(event(900, work_id="evt_900"), attempts=[late])])
    projector.project()

    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for one in leads:
        known = one.work["event_type"] if one.work["work_id"] == one.work["event_id"] else "not_projected"
        for call in one.attempts:
            groups[(date(2026, 9, 21), call["provider"], call["purpose"], known)].append(call)
    groups[(date(2026, 9, 22), "apollo", "person", "not_projected")] = [late]
    rows = warehouse.query("FROM spend").to_dicts()
    found = {(row["day"], row["provider"], row["purpose"], row["event_type"]): row for row in rows}
    assert found.keys() == groups.keys()
    for key, calls in groups.items():
        hedges = [call for call in calls if call["role"] == "hedge"]
        hits = sum(call["state"] == "hit" for call in calls)
        row = found[key]
        assert (row["calls"], row["hits"], row["hedge_calls"]) == (len(calls), hits, len(hedges))
        assert row["charged_calls"] == sum(call["cost_micros"] > 0 for call in calls)
        assert row["cost_usd"] == _dollars(calls)
        assert row["hedge_cost_usd"] == _dollars(hedges)
        assert row["cost_per_hit_usd"] == (pytest.approx(float(_dollars(calls)) / hits) if hits else None)


def _dollars(calls: Sequence[dict[str, Any]]) -> Decimal:
    return Decimal(sum(call["cost_micros"] for call in calls)) / 1_000_000


def test_alternatives_are_what_others_said_last_where_they_differ(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    ada, acme = "email:ada@acme.example", "domain:acme.example"
    other = {"provider": "clearbit", "chosen": False, "precedence": 2, "confidence": 0.5}
    first = [
        value(1, ada, "title", "CTO"),
        value(1, ada, "title", "Engineer", **other),
        value(1, ada, "city", "Bonn"),
        value(1, ada, "city", "Bonn", **other),
        value(1, acme, "employees", 640),
        value(1, acme, "employees", 700, **(other | {"provider": "hunter"})),
    ]
    second = [
        value(2, ada, "title", "CTO", provider="hubspot", precedence=0),
        value(2, ada, "title", "Head of Engineering", **other),
    ]
    third = [value(3, acme, "employees", 710, provider="hunter", precedence=2)]  # believed now: no alternative any more
    insert_leads(ops, [Lead(event(1), first), Lead(event(2), second), Lead(event(3), third)])
    projector.project()

    columns = "chosen_value, chosen_provider, chosen_confidence, alternative_value, alternative_provider"
    rows = warehouse.query(
        f"SELECT subject_key, field, {columns}, alternative_confidence FROM field_alternatives"
    ).rows()
    assert rows == [(ada, "title", "CTO", "apollo", 0.9, "Head of Engineering", "clearbit", 0.5)]


def test_account_people_are_those_whom_companies_list(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    ada = {"name": "Ada Lovelace", "title": "CTO", "seniority": "c_suite", "email": "ada@acme.example"}
    values = [
        value(1, "domain:acme.example", "executives", [ada, {"name": "Bob Byte"}]),
        value(1, "domain:acme.example", "account_contacts", [{"name": "Cy", "linkedin_url": "https://x.example/cy"}]),
        value(1, "domain:empty.example", "industry", "toys"),
    ]
    insert_leads(ops, [Lead(event(1), values)])
    projector.project()

    assert set(warehouse.query("FROM account_people").rows()) == {
        ("acme.example", "Ada Lovelace", "CTO", "c_suite", "ada@acme.example", None, "executives"),
        ("acme.example", "Bob Byte", None, None, None, None, "executives"),
        ("acme.example", "Cy", None, None, None, "https://x.example/cy", "account_contacts"),
    }


def test_loops_are_counted_by_day_with_what_they_would_have_cost(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    echo = {"outcome": "skipped", "cost_micros": 0, "caused_by": "evt_1", "depth": 1, "subject_id": "1"}
    insert_leads(
        ops,
        [
            Lead(event(1, outcome="enriched", cost_micros=30_000)),
            Lead(event(2, outcome="partial", cost_micros=10_000)),
            Lead(event(3, kind="gap_fill", outcome="enriched", cost_micros=20_000)),  # counts as the event's cost
            Lead(event(4, outcome="skipped", reason="personal_email", cost_micros=0)),
            Lead(event(5, reason="own_write", **echo)),
            Lead(event(6, reason="own_write", **echo)),
            Lead(event(7, reason="causality_depth", **echo | {"depth": 2, "subject_id": "2"})),
            Lead(event(8, reason="own_write", day="2026-09-22", **echo)),
            Lead(event(9, reason="own_write", event_type="unsupported", **echo)),
        ],
    )
    projector.project()
    columns = "day, event_type, own_writes, second_in_a_row, records, saved_usd"
    assert warehouse.query(f"SELECT {columns} FROM loops ORDER BY day, event_type").rows() == [
        (date(2026, 9, 21), "lead_created", 2, 1, 2, pytest.approx(0.09)),
        (date(2026, 9, 21), "unsupported", 1, 0, 1, 0.0),
        (date(2026, 9, 22), "lead_created", 1, 0, 1, pytest.approx(0.03)),
    ]
    row = warehouse.query("SELECT caused_by, depth FROM events WHERE work_id = 'evt_7'").row(0)
    assert row == ("evt_1", 2)


def test_the_org_chart_knows_a_company_by_its_main_domain(
    ops: Database, warehouse: Warehouse, projector: Projector
) -> None:
    """Its people have addresses of several domains; providers list its executives under the main one."""
    german, main, ada = "domain:acme.de", "domain:acme.example", "email:ada@acme.de"
    values = [
        value(1, ada, "first_name", "Ada"),
        value(1, german, "company_name", "Acme"),
        value(1, german, "company_domain", "acme.example"),
        value(1, german, "executives", [{"name": "Cy"}]),
        value(1, main, "company_name", "Acme"),
    ]
    insert_leads(ops, [Lead(event(1), values)])
    insert_edges(ops, edge(ada, german))
    projector.project()
    rows = warehouse.query("SELECT company_domain, company_name, person FROM org_chart ORDER BY person").rows()
    assert rows == [("acme.example", "Acme", "Ada"), ("acme.example", "Acme", "Cy")]


def test_the_org_chart_shows_everybody_once_by_rank(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    acme, ada, bob, eve = "domain:acme.example", *(f"email:{name}@acme.example" for name in ("ada", "bob", "eve"))
    listed = [
        {"name": "ADA Lovelace", "title": "Chief", "seniority": "c_suite", "email": "Ada@acme.example"},
        {"name": "Cy Coyote", "seniority": "vp"},
    ]
    values = [
        value(1, ada, "first_name", "Ada"),
        value(1, ada, "last_name", "Lovelace"),
        value(1, ada, "title", "CTO"),
        value(1, ada, "seniority", "cxo"),
        value(1, acme, "company_name", "Acme"),
        value(1, acme, "executives", listed),
        value(1, acme, "account_contacts", [{"name": "cy coyote", "title": "VP"}, {"name": "Di", "seniority": "??"}]),
    ]
    insert_leads(ops, [Lead(event(1), values)])
    insert_edges(
        ops,
        edge(ada, acme, kind="associated", system="hubspot", since_at_ms=START_MS - 1_000),
        edge(bob, acme, kind="associated", system="hubspot"),
        edge(eve, acme, ended_at_ms=START_MS),
        edge("record:hubspot:contact:1", acme, kind="associated", system="hubspot"),
    )
    projector.project()

    columns = "company_domain, company_name, person, title, seniority, rank, email, source"
    rows = warehouse.query(f"SELECT {columns} FROM org_chart").rows()
    assert [row[:2] for row in rows] == [("acme.example", "Acme")] * 4
    assert [row[2:] for row in rows] == [
        ("Ada Lovelace", "CTO", "cxo", 2, "ada@acme.example", "crm"),
        ("Cy Coyote", None, "vp", 4, None, "executives"),
        ("Di", None, "??", 99, None, "account_contacts"),
        (None, None, None, 99, "bob@acme.example", "crm"),
    ]
    assert warehouse.query("SELECT since FROM org_chart")["since"][0] == moment(START_MS - 1_000)


def test_two_people_of_one_name_are_two(ops: Database, warehouse: Warehouse, projector: Projector) -> None:
    people = [{"name": "Jo Do", "email": f"jo{number}@acme.example"} for number in range(2)] + [{"name": "Jo Do"}]
    insert_leads(ops, [Lead(event(1), [value(1, "domain:acme.example", "executives", people)])])
    projector.project()
    rows = warehouse.query("SELECT person, email FROM org_chart ORDER BY email").rows()
    assert rows == [("Jo Do", "jo0@acme.example"), ("Jo Do", "jo1@acme.example")]
