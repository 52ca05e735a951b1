"""The activity of Temporal's guide, run by Temporal's own library, which loads the workflow too; without a server."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from markdown import blocks
from support.demo import ROOT
from support.real_gateway import RealGateway
from temporalio import workflow
from temporalio.testing import ActivityEnvironment
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

GUIDE = ROOT / "docs" / "guides" / "temporal.md"
LEAD = {"email": "dana.reyes@northwind-parts.com", "company": "Northwind Parts"}


@pytest.fixture
def enriching(real_gateway: RealGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The guide's first file as a module, and its second one beside it."""
    monkeypatch.setenv("ENRICHMENT_URL", real_gateway.url)
    monkeypatch.setenv("ENRICH_API_KEY", real_gateway.key)
    plain, activity, new_lead = (block.text for block in blocks(GUIDE, "python"))
    (tmp_path / "enriching.py").write_text(f"{plain}\n{activity}", encoding="utf-8")
    (tmp_path / "new_lead.py").write_text(new_lead, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("enriching", "new_lead"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return import_module("enriching")


async def test_two_attempts_of_an_activity_are_one_request(enriching: Any, real_gateway: RealGateway) -> None:
    first = await ActivityEnvironment().run(enriching.enrich_lead, {**LEAD})
    calls = real_gateway.provider_calls()
    assert await ActivityEnvironment().run(enriching.enrich_lead, {**LEAD}) == first
    assert real_gateway.provider_calls() == calls > 0


async def test_the_workflow_is_one_that_temporal_takes(enriching: Any) -> None:
    definition = workflow._Definition.must_from_class(import_module("new_lead").NewLead)
    SandboxedWorkflowRunner().prepare_workflow(definition)
    assert definition.name == "NewLead"
