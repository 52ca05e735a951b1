"""The workflow of n8n's guide: its form, and its nodes' parameters played against a gateway."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
from markdown import blocks
from support.demo import ROOT
from support.gateway import Reply
from support.real_gateway import RealGateway

pytestmark = pytest.mark.stack

GUIDE = ROOT / "docs" / "guides" / "n8n.md"
WORKFLOW: dict[str, Any] = json.loads((GUIDE.parent / "n8n-workflow.json").read_text(encoding="utf-8"))
NODES: dict[str, dict[str, Any]] = {node["name"]: node for node in WORKFLOW["nodes"]}
LEAD: dict[str, str] = json.loads(blocks(GUIDE, "json")[0].text)
STATUSES = ("enriched", "cached", "partial", "skipped", "failed")

# What is in {{ }} is JavaScript; where nothing stands around it the value stays what it is, and is no text.
EVALUATE = """
const [template, $json] = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const value = (code) => Function('$json', `return (${code});`)($json);
const whole = /^{{([^]*)}}$/.exec(template);
const found = whole ? value(whole[1]) : template.replace(/{{([^]*?)}}/g, (_, code) => value(code));
console.log(JSON.stringify(found));
"""


def evaluate(parameter: str, item: Any) -> Any:
    """What a node makes of a parameter: one that begins with = is an expression."""
    if not parameter.startswith("="):
        return parameter
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    given = json.dumps([parameter[1:], item])
    done = subprocess.run([node, "-e", EVALUATE], input=given, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def after(name: str, output: int = 0) -> list[str]:
    """The nodes that an output leads to."""
    return [link["node"] for link in WORKFLOW["connections"][name]["main"][output]]


def post(gateway: RealGateway, lead: dict[str, str]) -> Reply:
    """Do what the node "Enrich" does with a lead that came in."""
    parameters, item = NODES["Enrich"]["parameters"], {"body": lead}
    headers = {entry["name"]: evaluate(entry["value"], item) for entry in parameters["headerParameters"]["parameters"]}
    path = parameters["url"].removeprefix("https://enrich.example.com")
    body = evaluate(parameters["jsonBody"], item).encode()
    shown = {"content-type": "application/json", "x-api-key": gateway.key, **headers}
    return gateway.client.request(parameters["method"], path, shown, body)


def branch(answer: dict[str, Any]) -> str:
    """The node that the switch sends an answer to."""
    rules = NODES["By status"]["parameters"]["rules"]["values"]
    for output, rule in enumerate(rules):
        (condition,) = rule["conditions"]["conditions"]
        left, right = (evaluate(condition[side], answer) for side in ("leftValue", "rightValue"))
        operation = condition["operator"]["operation"]
        if (left is True) if operation == "true" else (left == right):
            return after("By status", output)[0]
    return after("By status", len(rules))[0]


def test_every_node_is_reached_and_leads_to_the_answer() -> None:
    assert len(NODES) == len(WORKFLOW["nodes"])
    reached, ahead = set(), ["Lead comes in"]
    while ahead:
        name = ahead.pop()
        reached.add(name)
        outputs = WORKFLOW["connections"].get(name, {"main": []})["main"]
        assert outputs or name == "Answer", f"{name} leads nowhere"
        ahead += [link["node"] for output in outputs for link in output if link["node"] not in reached]
    assert reached == set(NODES)
    assert NODES["Lead comes in"]["parameters"]["responseMode"] == "responseNode"
    assert {name: len(WORKFLOW["connections"][name]["main"]) for name in ("Enrich", "By status")} == {
        "Enrich": 2,  # its answer, and its error
        "By status": 3,  # two rules, and all else
    }


def test_the_request_repeats_and_holds_no_secret() -> None:
    node = NODES["Enrich"]
    assert (node["retryOnFail"], node["onError"]) == (True, "continueErrorOutput")
    assert node["parameters"]["genericAuthType"] == "httpHeaderAuth"
    assert list(node["credentials"]) == ["httpHeaderAuth"]
    assert {entry["name"] for entry in node["parameters"]["headerParameters"]["parameters"]} == {"Idempotency-Key"}


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_has_its_branch(status: str) -> None:
    expected = {"enriched": "Complete", "cached": "Complete", "partial": "Partial"}
    assert branch({"status": status}) == expected.get(status, "Without data")


def test_a_lead_is_enriched_once_however_often_the_workflow_runs(real_gateway: RealGateway) -> None:
    first = post(real_gateway, LEAD)
    assert (first.status, first.content["status"]) == (200, "enriched"), first.content
    calls = real_gateway.provider_calls()
    again = post(real_gateway, LEAD)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert real_gateway.provider_calls() == calls > 0
    assert branch(first.content) == "Complete"
    shown = json.loads(evaluate(NODES["Complete"]["parameters"]["jsonOutput"], first.content))
    assert shown == json.loads(blocks(GUIDE, "json")[1].text)


@pytest.mark.parametrize(
    ("email", "node", "expected"),
    [
        ("nobody.knows@unknown-company-4711.com", None, None),
        ("somebody@gmail.com", "Without data", {"next": "by hand", "why": "personal_email"}),
    ],
)
def test_a_lead_of_whom_little_is_known(
    real_gateway: RealGateway, email: str, node: str | None, expected: dict[str, Any] | None
) -> None:
    answer = post(real_gateway, {"id": email, "email": email}).content
    reached = branch(answer)
    shown = json.loads(evaluate(NODES[reached]["parameters"]["jsonOutput"], answer))
    if expected is None:
        assert reached in ("Partial", "Without data")
        assert shown["next"]
    else:
        assert (reached, shown) == (node, expected)
