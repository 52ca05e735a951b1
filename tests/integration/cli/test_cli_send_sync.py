"""``enrichment send --sync`` against the API over sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support.empty_stores import put_empty_stores
from support.enrich import KEY, Api, running_api
from support.story import call, environment

from enrichment_dagster.composition import open_stores
from enrichment_dagster.errors import Overloaded
from enrichment_dagster.settings import load_settings
from enrichment_dagster.store.journal import open_journal

EMAIL = ("--email", "jane@acme.com")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    settings = load_settings({"ENRICHMENT_HOME": str(tmp_path_factory.mktemp("sync") / "home")})
    put_empty_stores(settings.home)
    stores, journal = open_stores(settings), open_journal(settings)
    with running_api(stores, journal) as api:
        yield api
    journal.close()
    stores.close()


@pytest.fixture
def api(running: Api) -> Api:
    running.lane.asked.clear()
    running.lane.failure = None
    return running


def send(api: Api, home: Path, *words: str, key: str = KEY) -> Result:
    url = f"http://127.0.0.1:{api.client.port}"
    given = environment(home, ENRICHMENT_GATEWAY_URL=url, ENRICH_API_KEY=key)
    return call(given, "send", "--sync", *words)


def test_the_answer_is_shown_with_its_sources(api: Api, tmp_path: Path) -> None:
    result = send(api, tmp_path, *EMAIL, "--company", "Acme [bold]Inc")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    for text in (
        "partial in 12 ms, cost $0.02",
        "employees 340 apollo",
        "company_name Acme [bold]Inc api",
        "industry missing: timeout",
        "segment mid_market, score 25, route inside_sales",
        "100 to 999 employees",
        "enrichment explain evt_",
    ):
        assert text in shown


def test_json_is_the_answer_as_it_came(api: Api, tmp_path: Path) -> None:
    found: dict[str, Any] = json.loads(send(api, tmp_path, *EMAIL, "--json").stdout)
    assert list(found) == ["status", "refusal", "answer"]
    assert (found["status"], found["refusal"], found["answer"]["data"]["employees"]) == (200, "", 340)


@pytest.mark.parametrize(
    ("words", "subject"),
    [
        (("--hubspot-contact", "4711"), "hubspot:contact:4711"),
        (("--salesforce-lead", "00Q5f000001abcD"), "salesforce:lead:00Q5f000001abcDEAQ"),
    ],
)
def test_a_record_may_be_named(api: Api, tmp_path: Path, words: tuple[str, ...], subject: str) -> None:
    assert send(api, tmp_path, *EMAIL, "--domain", "acme.com", *words).exit_code == 0
    ((event, known, _),) = api.lane.asked
    assert (event.subject.key, known["company_domain"]) == (subject, "acme.com")


def test_a_refusal_ends_with_1_and_keeps_the_key_to_itself(api: Api, tmp_path: Path) -> None:
    result = send(api, tmp_path, *EMAIL, key="wrong-key-0001")
    assert (result.exit_code, "refused (401): unauthorized" in result.stdout) == (1, True)
    assert "wrong-key-0001" not in result.output
    api.lane.failure = Overloaded("the line is full")
    result = send(api, tmp_path, *EMAIL)
    assert (result.exit_code, "refused (429): overloaded" in result.stdout) == (1, True)


@pytest.mark.parametrize(
    ("words", "key"), [((), KEY), (("--company", "Acme"), KEY), (EMAIL, " "), ((*EMAIL, "--file", "-"), KEY)]
)
def test_what_can_not_be_asked_is_wrong_usage(api: Api, tmp_path: Path, words: tuple[str, ...], key: str) -> None:
    assert send(api, tmp_path, *words, key=key).exit_code == 2
    assert api.lane.asked == []
