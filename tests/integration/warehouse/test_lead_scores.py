"""The view ``lead_scores`` follows the configuration's rules, over what was projected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from warehouse_rows import Lead, event, insert_leads, lead, value

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.composition import open_warehouse
from enrichment_dagster.domain.config import RoutingConfig
from enrichment_dagster.domain.fields import FIELDS
from enrichment_dagster.domain.routing import RoutingDecision, compile_rules
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.database import Database
from enrichment_dagster.store.maintenance import maintain
from enrichment_dagster.store.projector import Projector
from enrichment_dagster.store.warehouse import Warehouse
from enrichment_dagster.store.warehouse_schema import ensure_schema

RULES = RoutingConfig.model_validate(
    {
        "segments": [
            {"name": "big", "when": "employees >= 500"},
            {"name": "l'été", "when": "industry in [\"l'été\", 'robots']"},
        ],
        "score": [
            {"points": 10, "when": "title != ''", "reason": "it's known"},
            {"points": 5, "when": "'Python' in tech_stack", "reason": "$python"},
            {"points": -40, "when": "not (phone != '')", "reason": "no phone"},
        ],
        "routes": [{"to": "sales", "when": "segment == 'big' and score > -35"}],
        "default_route": "'; DROP VIEW lead_scores; --",
    }
)
OTHER_RULES = RoutingConfig(default_segment="everyone", default_route="nurture")


@pytest.fixture
def ruled(warehouse: Warehouse) -> Warehouse:
    return replace(warehouse, routing=RULES)


def project(ops: Database, warehouse: Warehouse) -> None:
    Projector(ops, warehouse, SystemClock()).project()


def decisions(warehouse: Warehouse) -> list[RoutingDecision]:
    rows = warehouse.query("SELECT segment, score, route, reasons FROM lead_scores").rows()
    return [RoutingDecision(*row[:3], tuple(row[3])) for row in rows]


def test_the_view_says_of_every_projected_lead_what_the_gateway_would_say(ops: Database, ruled: Warehouse) -> None:
    insert_leads(ops, [lead(number) for number in range(100)])
    project(ops, ruled)
    decide = compile_rules(RULES).decide
    people = ruled.query(
        "SELECT contacts.*, companies.* EXCLUDE (company_domain, subject_key) FROM contacts "
        "LEFT JOIN companies ON companies.subject_key = 'domain:' || contacts.company_domain"
    ).to_dicts()
    expected = Counter(
        decide({name: found for name, found in row.items() if name in FIELDS and found is not None}) for row in people
    )
    assert Counter(decisions(ruled)) == expected
    assert len(expected) > 1


def test_texts_of_rules_and_values_are_quoted(ops: Database, ruled: Warehouse) -> None:
    values = [
        value(1, "email:p1@acme.example", "title", "it's; --"),
        value(1, "domain:acme.example", "industry", "l'été"),
        value(1, "domain:acme.example", "tech_stack", ["Python", "O'Caml"]),
    ]
    insert_leads(ops, [Lead(event(1), values)])
    project(ops, ruled)
    reasons = ("segment l'été: industry in [\"l'été\", 'robots']", "it's known", "$python", "no phone")
    assert decisions(ruled) == [RoutingDecision("l'été", -25, "'; DROP VIEW lead_scores; --", reasons)]


def test_a_person_without_a_company_is_there_too(ops: Database, ruled: Warehouse) -> None:
    insert_leads(ops, [Lead(event(1), [value(1, "email:p1@acme.example", "phone", "+49301234567")])])
    project(ops, ruled)
    row = ruled.query("SELECT * FROM lead_scores").to_dicts()[0]
    assert list(row) == ["email", "company_domain", "segment", "score", "route", "reasons", "updated_at"]
    assert (row["email"], row["company_domain"], row["score"], row["reasons"]) == ("p1@acme.example", None, 0, [])
    assert row["updated_at"] is not None


def test_without_rules_everyone_goes_the_default_way(ops: Database, warehouse: Warehouse) -> None:
    insert_leads(ops, [lead(1)])
    project(ops, warehouse)
    assert decisions(warehouse) == [RoutingDecision("unknown", 0, "round_robin")]


@pytest.mark.parametrize("by", ["projection", "maintenance"])
def test_changed_rules_replace_the_view_once(ops: Database, ruled: Warehouse, by: str) -> None:
    insert_leads(ops, [lead(1)])
    project(ops, ruled)
    changed = replace(ruled, routing=OTHER_RULES)
    if by == "projection":
        project(ops, changed)
    else:
        maintain(changed)
    assert decisions(ruled) == [RoutingDecision("everyone", 0, "nurture")]
    with ruled.connect_writer() as lake:
        before = lake.execute("SELECT count(*) FROM ducklake_snapshots('warehouse')").fetchone()
        ensure_schema(lake, OTHER_RULES)
        assert lake.execute("SELECT count(*) FROM ducklake_snapshots('warehouse')").fetchone() == before


def test_the_warehouse_of_an_installation_follows_its_configuration(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    assert open_warehouse(settings).routing is settings.config.routing
