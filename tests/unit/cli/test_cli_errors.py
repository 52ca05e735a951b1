"""Expected errors: words, all problems at once, the next step; JSON where JSON was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.story import call, environment

BAD = """
version: 1
event_types:
  lead_created: {latency_target_seconds: 10, lanes: {standard: {wanted: [email], waterfall: [apollo.person]}}}
providers: {}
crm: {}
intake: {max_body_bytes: 1}
"""


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    return environment(tmp_path / "home", ENRICHMENT_CONFIG=str(path))


@pytest.mark.parametrize("words", [["status"], ["explain", "evt_1"], ["sql", "SELECT 1"], ["config"]])
def test_every_problem_of_the_configuration_is_told(words: list[str], broken: dict[str, str]) -> None:
    result = call(broken, *words)
    assert result.exit_code == 2
    for place in ("event_types.lead_created", "providers", "intake.max_body_bytes"):
        assert place in result.stderr
    assert "enrichment doctor" in result.stderr
    assert "Traceback" not in result.output


def test_with_json_an_error_is_json_too(broken: dict[str, str]) -> None:
    result = call(broken, "config", "--check", "--json")
    error = json.loads(result.stdout)["error"]
    assert result.exit_code == 2
    assert set(error) == {"reason", "message", "problems"}
    assert (error["reason"], len(error["problems"])) == ("configuration", 4)


def test_a_missing_file_says_how_to_name_it(tmp_path: Path) -> None:
    result = call(environment(tmp_path, ENRICHMENT_CONFIG=str(tmp_path / "none.yaml")), "status")
    assert result.exit_code == 2
    assert "ENRICHMENT_CONFIG" in result.stderr


@pytest.mark.parametrize("words", [["status"], ["explain", "evt_1"], ["sql", "SELECT 1"], ["sql"]])
def test_a_question_creates_no_store(words: list[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    result = call(environment(home), *words)
    assert result.exit_code == 1
    assert "enrichment up" in result.stderr
    assert not home.exists()


def test_a_broken_store_is_told_in_words(tmp_path: Path) -> None:
    for name in ("journal.db", "ops.db"):
        (tmp_path / name).write_bytes(b"this is no database" * 100)
    result = call(environment(tmp_path), "status", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["reason"] == "store"
    assert "enrichment doctor" in result.stderr


def test_the_url_of_a_postgres_store_is_not_shown(tmp_path: Path) -> None:
    url = "postgresql://ada:pgpassword@127.0.0.1:1/enrichment"
    env = environment(tmp_path, ENRICHMENT_STORE_URL=url)
    for words in (["status"], ["doctor"], ["config"]):
        assert "pgpassword" not in call(env, *words).output
    assert call(env, "status").exit_code == 1
