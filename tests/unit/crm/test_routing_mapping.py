"""The routing's result in a CRM: what is configured is written, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from enrichment_dagster.crm.mapper import ConfiguredMapper
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.routing import RoutingDecision
from enrichment_dagster.settings import parse_config

SHIPPED = (Path(__file__).parents[3] / "enrichment.yaml").read_text(encoding="utf-8")
DECISION = RoutingDecision("enterprise", 75, "enterprise_team", ("segment enterprise: employees >= 1000",))
HUBSPOT, SALESFORCE = RecordRef("hubspot", "contact", "1"), RecordRef("salesforce", "lead", "00Q1")


def mapper(text: str) -> ConfiguredMapper:
    return ConfiguredMapper(parse_config(text).crm)


@pytest.mark.parametrize("ref", [HUBSPOT, SALESFORCE], ids=str)
def test_as_shipped_nothing_of_the_routing_is_written(ref: RecordRef) -> None:
    assert mapper(SHIPPED).routing(ref, DECISION) == {}


def test_the_commented_examples_of_the_shipped_file_are_valid() -> None:
    both = mapper(SHIPPED.replace("# routing: {", "routing: {"))
    assert both.routing(HUBSPOT, DECISION) == {
        "lead_segment": "enterprise",
        "lead_score": 75,
        "lead_route": "enterprise_team",
    }
    assert set(both.routing(SALESFORCE, DECISION)) == {"Lead_Segment__c", "Lead_Score__c", "Lead_Route__c"}


def test_only_the_properties_that_are_named_are_written() -> None:
    example = "# routing: {segment: lead_segment, score: lead_score, route: lead_route}"
    assert SHIPPED.count(example) == 1
    one = mapper(SHIPPED.replace(example, "routing: {route: lead_route}"))
    assert one.routing(HUBSPOT, DECISION) == {"lead_route": "enterprise_team"}
    assert one.routing(SALESFORCE, DECISION) == {}
