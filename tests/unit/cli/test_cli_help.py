"""The surface: which commands there are, what they promise, and how errors end."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.story import call, environment

from enrichment_dagster.cli import COMMANDS

NAMES = [entry.name for entry in COMMANDS]
OURS = ("status", "explain", "plan", "spend", "send", "sql", "doctor", "config")


def test_help_lists_every_command_with_its_summary(tmp_path: Path) -> None:
    result = call(environment(tmp_path), "--help")
    assert result.exit_code == 0
    for entry in COMMANDS:
        assert entry.name in result.stdout
        assert entry.summary in " ".join(result.stdout.split())
    assert "Exit codes" in result.stdout


def test_our_commands_are_there() -> None:
    assert set(OURS) <= set(NAMES)


@pytest.mark.parametrize("name", OURS)
def test_each_command_tells_its_exit_codes_and_offers_json(name: str, tmp_path: Path) -> None:
    result = call(environment(tmp_path), name, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "Exit codes:\n    0  all is well" in result.stdout
    assert "    2  wrong usage" in result.stdout


@pytest.mark.parametrize("words", [["nonsense"], ["status", "--nonsense"], ["explain"], ["send"]])
def test_wrong_usage_ends_with_2(words: list[str], tmp_path: Path) -> None:
    result = call(environment(tmp_path), *words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_version(tmp_path: Path) -> None:
    assert call(environment(tmp_path), "--version").stdout.startswith("enrichment, version ")
