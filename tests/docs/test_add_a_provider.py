"""The guide's providers, as they stand there, against a server that answers as the guide says."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from types import MappingProxyType, ModuleType
from typing import Any

import pytest
import yaml
from markdown import Block, blocks
from support.demo import ROOT
from support.loopback import Loopback, loopback, reply
from support.one_provider import ONE_KEY, by_field, with_provider

from enrichment_dagster import providers
from enrichment_dagster.domain.config import EnrichmentConfig
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClients
from enrichment_dagster.ports import Lookup, Query
from enrichment_dagster.providers import registry

GUIDE = ROOT / "docs" / "guides" / "add-a-provider.md"
SHIPPED = yaml.safe_load((ROOT / "enrichment.yaml").read_text(encoding="utf-8"))
QUERY = Query(email="dana.reyes@northwind-parts.com", domain="northwind-parts.com")
MODULE = "enrichment_dagster.providers.acme"
MOST_LINES = 120


def guide(language: str) -> list[Block]:
    return blocks(GUIDE, language)


def entries() -> dict[str, Any]:
    """Every provider that the guide configures."""
    return {name: entry for block in guide("yaml") for name, entry in yaml.safe_load(block.text)["providers"].items()}


def answers() -> dict[str, Any]:
    """The guide shows an answer after each provider, in the same order."""
    return dict(zip(entries(), (yaml.safe_load(block.text) for block in guide("json")), strict=True))


@pytest.fixture
async def vendor() -> AsyncIterator[Loopback]:
    async with loopback() as server:
        yield server


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The guide's file and its row, as if they were in the package."""
    file, row = guide("python")
    module = ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    monkeypatch.setattr(providers, "acme", module, raising=False)
    exec(compile(file.text, MODULE, "exec"), module.__dict__)
    added = eval(f"{{{row.text.strip()}}}", {**vars(registry), "acme": module})
    monkeypatch.setattr(registry, "VENDORS", MappingProxyType({**registry.VENDORS, **added}))
    return module


def build(name: str, url: str, clients: RemoteClients) -> Lookup:
    [lookup] = registry.build_lookups(with_provider(name, url, **entries()[name]), clients).values()
    return lookup


@pytest.mark.parametrize("name", entries())
def test_what_the_guide_configures_is_valid(name: str) -> None:
    EnrichmentConfig.model_validate(SHIPPED | {"providers": SHIPPED["providers"] | {name: entries()[name]}})


def test_the_guide_shows_the_shipped_example() -> None:
    assert entries()["competitors"] == SHIPPED["providers"]["competitors"] | {"enabled": True}


@pytest.mark.parametrize(
    ("name", "target", "key", "values"),
    [
        (
            "competitors",
            ("GET", "/v1/companies/northwind-parts.com/competitors"),
            lambda seen: seen.headers["x-api-key"],
            {"competitors": ["Acme", "Globex"]},
        ),
        (
            "firmographics",
            ("POST", "/graphql"),
            lambda seen: seen.headers["authorization"].removeprefix("Bearer "),
            {"employees": 640, "industry": "Industrial Machinery"},
        ),
        (
            "acme",
            ("POST", "/v2/people"),
            lambda seen: seen.headers["x-acme-key"],
            {"title": "CTO", "employees": 640},
        ),
    ],
)
@pytest.mark.usefixtures("acme")
async def test_each_provider_asks_and_reads_as_the_guide_says(
    vendor: Loopback, name: str, target: tuple[str, str], key: Any, values: dict[str, Any]
) -> None:
    vendor.answer(reply(200, answers()[name]))
    async with RemoteClients() as clients:
        answer = await build(name, vendor.url, clients).fetch(QUERY, 3)
    [seen] = vendor.requests
    assert (seen.method, seen.path) == target
    assert key(seen) == ONE_KEY
    assert by_field(answer) == values
    assert answer.request_id == (answers()[name].get("request_id") or answers()[name].get("id") or "")


async def test_the_graphql_request_has_its_braces(vendor: Loopback) -> None:
    vendor.answer(reply(200, {}))
    async with RemoteClients() as clients:
        assert not (await build("firmographics", vendor.url, clients).fetch(QUERY, 3)).is_hit
    assert vendor.requests[0].json == {
        "query": "query($d: String!) { company(domain: $d) { staff sector { name } } }",
        "variables": {"d": "northwind-parts.com"},
    }


@pytest.mark.usefixtures("acme")
async def test_the_python_providers_misses_and_errors_are_those_of_the_guide(vendor: Loopback) -> None:
    vendor.answer(reply(200, {"code": "none"}), reply(200, {"code": "quota"}), reply(200, {"code": "odd"}))
    async with RemoteClients() as clients:
        lookup = build("acme", vendor.url, clients)
        assert not (await lookup.fetch(QUERY, 3)).is_hit
        for reason in ("out_of_credits", "malformed"):
            with pytest.raises(ProviderError) as caught:
                await lookup.fetch(QUERY, 3)
            assert (caught.value.reason, caught.value.transient) == (reason, False)
        assert lookup.subject(replace(QUERY, email=None)) is None


def test_the_python_provider_is_one_short_file() -> None:
    file, _ = guide("python")
    assert len(file.text.splitlines()) < MOST_LINES


def test_everything_that_the_guide_calls_configurable_is() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for name in ("method", "path", "query", "body", "subject", "miss_statuses"):
        assert f"`request.{name}`" in text
