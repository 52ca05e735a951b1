"""The activity of Temporal's guide, run as often as Temporal may run it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from markdown import blocks
from support.demo import ROOT
from support.loopback import loopback, reply
from support.real_gateway import RealGateway

pytestmark = pytest.mark.stack

GUIDE = ROOT / "docs" / "guides" / "temporal.md"
LEAD = {"email": "dana.reyes@northwind-parts.com", "company": "Northwind Parts"}
ANOTHER = {"email": "jo@unknown-company-4711.com"}
Enrich = Callable[[dict[str, str], str], Awaitable[dict[str, Any]]]


@pytest.fixture
def shown(real_gateway: RealGateway, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of the guide's first block, with its variables set."""
    monkeypatch.setenv("ENRICHMENT_URL", real_gateway.url)
    monkeypatch.setenv("ENRICH_API_KEY", real_gateway.key)
    names: dict[str, Any] = {"__name__": "shown"}
    exec(compile(blocks(GUIDE, "python")[0].text, str(GUIDE), "exec"), names)
    return names


async def test_an_activity_that_runs_twice_has_one_effect_and_one_answer(
    shown: dict[str, Any], real_gateway: RealGateway
) -> None:
    enrich: Enrich = shown["enrich"]
    first = await enrich(LEAD, "new-lead-1/1")
    assert (first["status"], first["data"]["company_domain"]) == ("enriched", "northwind-parts.com")
    calls = real_gateway.provider_calls()
    assert calls > 0
    assert await enrich(LEAD, "new-lead-1/1") == first
    assert real_gateway.provider_calls() == calls
    assert (await enrich(LEAD, "new-lead-2/1"))["event_id"] != first["event_id"]


async def test_what_would_be_refused_again_ends_the_activity(
    shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    enrich, refused = shown["enrich"], shown["Refused"]
    await enrich(ANOTHER, "new-lead-3/1")
    with pytest.raises(refused, match="idempotency_key_reused"):
        await enrich({**ANOTHER, "company": "Other"}, "new-lead-3/1")
    with pytest.raises(refused, match="nobody"):
        await enrich({"email": ""}, "new-lead-4/1")
    monkeypatch.setenv("ENRICH_API_KEY", "another-key")
    with pytest.raises(refused, match="unauthorized"):
        await enrich(ANOTHER, "new-lead-5/1")


@pytest.mark.parametrize(
    ("status", "reason"), [(409, "in_progress"), (408, "slow_body"), (429, "overloaded"), (503, "store_unavailable")]
)
async def test_what_may_go_well_next_time_is_left_to_temporal(
    shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch, status: int, reason: str
) -> None:
    async with loopback() as server:
        server.answer(reply(status, {"error": {"reason": reason, "detail": ""}}))
        monkeypatch.setenv("ENRICHMENT_URL", server.url)
        with pytest.raises(httpx.HTTPStatusError):
            await shown["enrich"](ANOTHER, "new-lead-6/1")


# --- with Temporal's own library, where it is installed ---------------------------------------------------------------


@pytest.fixture
def files(shown: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The guide's two files, where Python finds them."""
    pytest.importorskip("temporalio")
    plain, activity, workflow = (block.text for block in blocks(GUIDE, "python"))
    (tmp_path / "enriching.py").write_text(f"{plain}\n{activity}", encoding="utf-8")
    (tmp_path / "new_lead.py").write_text(workflow, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("enriching", "new_lead"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


async def test_two_attempts_of_an_activity_are_one_request(files: Path) -> None:
    from temporalio.testing import ActivityEnvironment

    enrich_lead = import_module("enriching").enrich_lead
    answers = [await ActivityEnvironment().run(enrich_lead, {**ANOTHER}) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["event_id"].startswith("evt_")


async def test_the_workflow_is_one_that_temporal_takes(files: Path) -> None:
    from temporalio import workflow
    from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

    definition = workflow._Definition.must_from_class(import_module("new_lead").NewLead)
    SandboxedWorkflowRunner().prepare_workflow(definition)
    assert definition.name == "NewLead"
