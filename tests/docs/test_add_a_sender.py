"""The guide's sender, as it stands there, behind the gateway."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from types import MappingProxyType, ModuleType
from typing import Any

import pytest
import yaml
from markdown import Block, blocks
from support.demo import ROOT
from support.intake import ALL, FixedClock, MemoryJournal, asgi_call

from enrichment_dagster import intake
from enrichment_dagster.domain import config
from enrichment_dagster.domain.config import IntakeConfig
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import GatewayDeps, Limits
from enrichment_dagster.intake import registry
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.sender import Sender

GUIDE = ROOT / "docs" / "guides" / "add-a-sender.md"
MODULE = "enrichment_dagster.intake.acme"
SECRET = b"acme-secret"
MOST_LINES = 80


def guide(language: str) -> list[Block]:
    return blocks(GUIDE, language)


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> Sender:
    """The guide's file, its row and its line of the configuration, as if they were in the package."""
    file, row, line = guide("python")
    module = ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    monkeypatch.setattr(intake, "acme", module, raising=False)
    exec(compile(file.text, MODULE, "exec"), module.__dict__)
    added = eval(f"{{{row.text.strip()}}}", module.__dict__)
    monkeypatch.setattr(registry, "SENDERS", MappingProxyType({**registry.SENDERS, **added}))
    place: dict[str, Any] = {**vars(config), "__module__": config.__name__}
    exec(f"from __future__ import annotations\nclass Extended(IntakeConfig):\n    {line.text.strip()}", place)
    (entry,) = guide("yaml")
    extended: IntakeConfig = place["Extended"].model_validate(yaml.safe_load(entry.text)["intake"])
    assert extended.senders["acme"].secret_names == ["ACME_WEBHOOK_SECRET"]
    return registry.SENDERS["acme"].build(extended.senders["acme"], Door((SECRET,), "", ALL, lambda _names: ()))


async def post(app: Any, body: bytes, key: bytes = SECRET) -> tuple[int, Any]:
    signature = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
    status, _, content = await asgi_call(app, "/webhooks/acme", body, {"x-acme-signature": signature})
    return status, content


async def test_the_guides_sender_works_behind_the_gateway(acme: Sender) -> None:
    (sample,) = guide("json")
    journal = MemoryJournal()
    app = create_app(GatewayDeps([acme], journal, FixedClock(), Limits(100_000)))
    status, content = await post(app, sample.text.encode())
    (event,) = journal.events.values()
    assert (status, content["accepted"]) == (200, 1)
    assert (event.event_type, event.skip_reason, event.sender_event_id) == ("lead_created", "", "sub_81")
    assert event.subject.key == "person:email:dana.reyes@northwind-parts.com"
    assert event.attributes["company"] == "Northwind Parts"
    assert (await post(app, sample.text.encode()))[1]["duplicates"] == 1
    assert (await post(app, sample.text.encode(), b"another"))[0] == 401


async def test_it_keeps_what_it_cannot_read_and_lets_the_rest_go_on(acme: Sender) -> None:
    (sample,) = guide("json")
    form = json.loads(sample.text)
    journal = MemoryJournal()
    app = create_app(GatewayDeps([acme], journal, FixedClock(), Limits(100_000)))
    status, content = await post(app, json.dumps([form, {**form, "fields": {}}]).encode())
    assert (status, content["accepted"], content["rejected"]) == (200, 1, 1)
    assert [kept.reason for kept in journal.kept] == ["incomplete_form"]
    status, content = await post(app, b"{not json")
    assert (status, content["kept"]) == (200, 1), "as its manners say"


def test_the_sender_is_one_short_file() -> None:
    assert len(guide("python")[0].text.splitlines()) < MOST_LINES


def test_the_guide_names_every_part_of_a_fact_that_a_sender_sets() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for name in ("event_type", "subject", "occurred_at", "identity", "attributes", "skip_reason"):
        assert f"| `{name}` |" in text
