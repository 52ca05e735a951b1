"""The installed command, as a shell starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.process import run
from support.story import Installation, environment

from assets.lanes import LANES

HEAVY = ("dagster", "polars", "duckdb", "fastapi", "sqlalchemy", "httpx", "pydantic", "rich", "pandera")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import json, sys\n"
        "from click.testing import CliRunner\n"
        "from enrichment_dagster.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not set(HEAVY) & set(json.loads(output))


@pytest.mark.parametrize("name", ["status", "explain", "send", "config", "sql"])
def test_a_command_imports_no_dagster_and_no_data_frames(name: str, tmp_path: Path) -> None:
    Installation(tmp_path).close()
    code = (
        "import json, sys\n"
        "from click.testing import CliRunner\n"
        "from enrichment_dagster.cli import main\n"
        "CliRunner().invoke(main, [sys.argv[1], 'evt_1'] if sys.argv[1] == 'explain' else [sys.argv[1]])\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    env = {**environment(tmp_path), "PATH": ""}
    output = subprocess.run([sys.executable, "-c", code, name], env=env, capture_output=True, text=True, check=True)
    assert not {"dagster", "polars", "fastapi", "httpx", "pandera"} & set(json.loads(output.stdout))


def test_help_is_quick(tmp_path: Path) -> None:
    """In processor time, and the best of three: the machine may be busy with something else."""
    seconds = []
    for _ in range(3):
        begun = processor_seconds_of_children()
        assert run(environment(tmp_path), "--help").returncode == 0
        seconds.append(processor_seconds_of_children() - begun)
    assert min(seconds) < 0.4


def processor_seconds_of_children() -> float:
    used = os.times()
    return used.children_user + used.children_system


def test_exit_codes_reach_the_shell(tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    assert run(env, "config", "--check").returncode == 0
    assert run(env, "status").returncode == 1
    assert run(env, "status", "--nonsense").returncode == 2
    broken = run(environment(tmp_path, ENRICHMENT_CONFIG="/nowhere.yaml"), "status")
    assert broken.returncode == 2
    assert "Traceback" not in broken.stderr


def test_status_of_a_real_store(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    installation.clock.move(25)
    for lane in LANES:
        installation.dispatch.beat(f"tick:{lane.event_type}")
    installation.close()
    found = run(environment(tmp_path), "status", "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["events"]["holds"] is True
    assert found.stderr == ""
