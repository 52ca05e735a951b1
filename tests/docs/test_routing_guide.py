"""The rules and conditions of the routing guide are ones that the configuration takes."""

from __future__ import annotations

import re

import pytest
import yaml
from markdown import blocks
from support.demo import ROOT

from enrichment_dagster.domain.config import RoutingConfig
from enrichment_dagster.domain.expression_names import LEAD_NAMES
from enrichment_dagster.domain.expressions import parse
from enrichment_dagster.domain.routing import compile_rules

GUIDE = ROOT / "docs" / "guides" / "routing.md"
CONDITIONS = re.findall(r"^\| `([^`.]+)`", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_example_routes_a_lead() -> None:
    (example,) = blocks(GUIDE, "yaml")
    rules = compile_rules(RoutingConfig.model_validate(yaml.safe_load(example.text)["routing"]))
    decision = rules.decide({"employees": 640, "seniority": "vp", "tech_stack": ["HubSpot"]})
    assert (decision.segment, decision.score, decision.route) == ("mid_market", 30, "inside_sales")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_conditions_of_the_table_are_conditions(condition: str) -> None:
    assert parse(condition, LEAD_NAMES).names
