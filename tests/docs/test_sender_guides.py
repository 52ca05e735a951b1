"""The snippets of the senders' guides are what our own door takes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown import blocks
from support.demo import ROOT
from support.gateway import Client, serve_in_thread
from support.intake import ALL, NOW, FixedClock, MemoryJournal, sample
from support.senders import playing

from enrichment_dagster.domain.config import IntakeConfig
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import GatewayDeps, Limits
from enrichment_dagster.intake.hubspot_custom_code import HubSpotCustomCode
from enrichment_dagster.intake.proof.shared_secret import SharedSecret
from enrichment_dagster.intake.sender import RawRequest, Sender

GUIDES = ROOT / "docs" / "guides"
SENDERS = {player.sender.name: player.sender for player in playing()}
SECRET = "custom-code-secret"
HEADERS = {"content-type": "application/cloudevents+json", "webhook-id": "msg_1"}
TYPES = {"com.example.crm.lead.created.v1": "lead_created"}


def snippets(guide: str, language: str = "json") -> list[str]:
    return [block.text for block in blocks(GUIDES / guide, language)]


def read(sender: Sender, body: str) -> Any:
    (event,) = sender.parse(RawRequest("POST", HEADERS, body.encode()), NOW).events
    return event


@pytest.mark.parametrize(
    ("guide", "sender"),
    [
        ("hubspot-workflow.md", "hubspot_workflow"),
        ("salesforce-flow.md", "salesforce_flow"),
        ("clay.md", "clay"),
    ],
)
def test_the_bodies_that_users_are_told_to_map_are_leads(guide: str, sender: str) -> None:
    (body,) = snippets(guide)
    event = read(SENDERS[sender], body)
    assert (event.event_type, event.skip_reason) == ("lead_created", "")
    assert event.attributes["email"] == "dana.reyes@northwind-parts.com"


def test_the_generic_bodies_are_leads() -> None:
    standard, cloud = snippets("other-senders.md")
    assert read(SENDERS["standard_webhooks"], standard).event_type == "lead_created"
    (configured,) = snippets("other-senders.md", "yaml")
    intake = IntakeConfig.model_validate(yaml.safe_load(configured)["intake"])
    assert intake.cloudevents is not None
    assert intake.cloudevents.types == TYPES
    assert read(SENDERS["cloudevents"], cloud.replace(*TYPES.copy().popitem())).event_type == "lead_created"


@pytest.mark.parametrize(("row", "expected"), [(0, "contact_associated"), (1, "opportunity_stage_changed")])
def test_flows_on_other_objects(row: int, expected: str) -> None:
    text = (GUIDES / "salesforce-flow.md").read_text(encoding="utf-8")
    body = re.findall(r"\| `(\{.*\})` \|", text)[row]
    for prefix in ("001", "003", "006"):
        body = body.replace(f'"{prefix}..."', f'"{prefix}5g00000AbCdE"')
    event = read(SENDERS["salesforce_flow"], body.replace('"..."', '"2026-09-21T12:53:21Z"'))
    assert event.event_type == expected
    assert event.attributes["company_id"] == "0015g00000AbCdEAAV"


def test_what_the_apex_job_sends_is_read() -> None:
    """The keys of its map, with the values that Salesforce would put there."""
    job, trigger = snippets("salesforce-flow.md", "apex")
    pairs = dict(re.findall(r"'(\w+)' => (?:'(\w+)'|lead\.)", job))
    assert list(pairs) == ["lead_id", "email", "company", "event_type", "timestamp"]
    body = {**json.loads(sample("salesforce-flow-http-callout.json")), "event_type": pairs["event_type"]}
    event = read(SENDERS["salesforce_flow"], json.dumps([{name: body[name] for name in pairs}]))
    assert event.event_type == "lead_created"
    assert "callout:Enrichment" + SENDERS["salesforce_flow"].path in job
    assert "Database.AllowsCallouts" in job, "a callout with pending work is forbidden"
    assert "callout" not in trigger.lower().replace("enrichmentcallout", "")


# --- HubSpot's custom code, run by Node ------------------------------------------------------------------------------


@pytest.fixture
def gateway() -> Iterator[tuple[Client, MemoryJournal]]:
    sender = HubSpotCustomCode(
        SharedSecret((SECRET.encode(),), "X-Enrichment-Secret"), ALL, frozenset({"lead_created"})
    )
    journal = MemoryJournal()
    with serve_in_thread(create_app(GatewayDeps([sender], journal, FixedClock(), Limits(100_000)))) as client:
        yield client, journal


# HubSpot brings axios along; here these lines play the part of it that the action uses.
AXIOS = """
exports.post = async (url, body, { headers, validateStatus }) => {
  const options = { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers } };
  const reply = await fetch(url, { ...options, body: JSON.stringify(body) });
  const response = { status: reply.status, data: await reply.json() };
  if (!validateStatus(reply.status)) throw Object.assign(new Error(`status code ${reply.status}`), { response });
  return response;
};
"""


def run_action(folder: Path, url: str, event: Any, secret: str = SECRET) -> dict[str, str]:
    """Run the action as HubSpot does; returns its outputs.

    Raises:
        subprocess.CalledProcessError: it throws, so that HubSpot would run it again.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    (code,) = snippets("hubspot-workflow.md", "javascript")
    (folder / "action.js").write_text(code, encoding="utf-8")
    (folder / "node_modules").mkdir(exist_ok=True)
    (folder / "node_modules" / "axios.js").write_text(AXIOS, encoding="utf-8")
    call = f"require('./action.js').main({json.dumps(event)}, (given) => console.log(JSON.stringify(given)))"
    environment = {"ENRICHMENT_URL": url, "ENRICHMENT_SECRET": secret}
    done = subprocess.run(
        [node, "-e", call], cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    outputs: dict[str, str] = json.loads(done.stdout)["outputFields"]
    return outputs


def test_the_custom_code_action(tmp_path: Path, gateway: tuple[Client, MemoryJournal]) -> None:
    client, journal = gateway
    url, event = (
        f"http://127.0.0.1:{client.port}/webhooks/hubspot/custom-code",
        json.loads(sample("hubspot-customcode-event.json")),
    )
    outputs = run_action(tmp_path, url, event)
    assert outputs == {"should_enrich": "true", "reason": "", "enrichment_triggered": "true", "error": ""}
    assert len(journal.events) == 1
    personal = {**event, "inputFields": {"email": "someone@gmail.com"}}
    assert run_action(tmp_path, url, personal)["reason"] == "personal_email"
    refused = run_action(tmp_path, url, event, "wrong")
    assert (refused["enrichment_triggered"], refused["error"][:10]) == ("false", "bad_secret")
    journal.failure = OSError("disk full")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_action(tmp_path, url, event)
    assert "status code 503" in caught.value.stderr
    unreachable = run_action(tmp_path, "http://127.0.0.1:9/", event)
    assert (unreachable["should_enrich"], unreachable["enrichment_triggered"]) == ("true", "false")
    assert unreachable["error"]
