"""The guide of the event types says what the shipped configuration and the code do."""

from __future__ import annotations

import re

import yaml
from markdown import blocks
from support.demo import ROOT

from assets.lanes import LANES
from enrichment_dagster.domain import echoes, eligibility
from enrichment_dagster.domain.config import ConsentConfig, PolicyConfig, TriggerConfig
from enrichment_dagster.settings import parse_config

GUIDE = ROOT / "docs" / "guides" / "event-types.md"
TEXT = GUIDE.read_text(encoding="utf-8")
SECONDS = {"1 min": 60, "2 min": 120, "5 min": 300, "1 h": 3_600}


def test_the_table_is_that_of_the_lanes_and_their_targets() -> None:
    config = parse_config((ROOT / "enrichment.yaml").read_text(encoding="utf-8"))
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| ([\w ]+) \|", TEXT, re.MULTILINE)
    assert [(name, asset) for name, asset, _ in rows] == [(lane.event_type, lane.asset) for lane in LANES]
    told = {name: SECONDS[target] for name, _, target in rows}
    assert told == {name: found.latency_target_seconds for name, found in config.event_types.items()}


def test_the_settings_are_ones_that_the_configuration_takes() -> None:
    trigger, policy, crm = (yaml.safe_load(block.text) for block in blocks(GUIDE, "yaml"))
    assert TriggerConfig.model_validate(trigger["trigger"]).model_fields_set == set(TriggerConfig.model_fields)
    assert PolicyConfig.model_validate(policy["policy"]).model_fields_set == set(PolicyConfig.model_fields)
    ConsentConfig.model_validate(crm["crm"]["hubspot"]["objects"]["contact"]["consent"])


def test_every_reason_is_told() -> None:
    reasons = {*eligibility.LEFT_ALONE, eligibility.SKIPPED_DOMAIN, eligibility.NO_DOMAIN, *echoes.LOOP_REASONS}
    assert {reason for reason in reasons if f"`{reason}`" not in TEXT} == set()
