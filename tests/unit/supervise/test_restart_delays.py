"""When a fallen process is started again, on a clock that is moved by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.supervise.environment import Ports, prepare_dagster_home, process_environment
from enrichment_dagster.supervise.process import ProcessSpec, SupervisedProcess, restart_delay


def test_each_failure_in_a_row_doubles_the_delay_up_to_a_limit() -> None:
    """A process that falls at once must not keep the machine busy, and must not be forgotten either."""
    assert [restart_delay(n) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 15, 15]
    assert restart_delay(10_000) == 15


class Hands:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def falling(tmp_path: Path, hands: Hands) -> SupervisedProcess:
    spec = ProcessSpec("falling", [sys.executable, "-c", "raise SystemExit(3)"], {}, tmp_path / "x.log", lambda: True)
    process = SupervisedProcess(spec, hands)
    _start(process)
    return process


def _start(process: SupervisedProcess) -> None:
    process.start()
    _ended(process)


def _ended(process: SupervisedProcess) -> None:
    assert process.process is not None
    process.process.wait(20)


def test_a_fallen_process_is_started_when_its_delay_is_over(falling: SupervisedProcess, hands: Hands) -> None:
    assert falling.watch() == f"falling ended with code 3; restart in 0.5 s (log: {falling.spec.log_path})"
    hands.now += 0.49
    assert falling.watch() == ""
    hands.now += 0.01
    assert falling.watch() == "falling restarted"
    _ended(falling)
    assert "restart in 1 s" in falling.watch(), "it fell again at once"
    assert (falling.restarts, list(falling.exit_codes)) == (1, [3, 3])


def test_a_steady_process_starts_over_with_the_shortest_delay(falling: SupervisedProcess, hands: Hands) -> None:
    falling.watch()
    for seconds in (1, 2, 4):
        hands.now += seconds
        falling.watch()
        _ended(falling)
        falling.watch()
    assert falling.failures_in_a_row == 4
    hands.now += 8
    assert falling.watch() == "falling restarted"
    _ended(falling)
    hands.now += 31
    assert "restart in 0.5 s" in falling.watch()


def test_byte_code_is_written_whatever_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Incident: an image with PYTHONDONTWRITEBYTECODE=1 compiled 800 modules in every run: 4.3 s instead of 2."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = process_environment(tmp_path, Ports(), {"X": "1"})
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert environment["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert environment["X"] == "1"


def test_a_folder_without_dagster_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"dagster\.yaml: not found"):
        prepare_dagster_home(tmp_path / "home", tmp_path, Ports())


def test_daemon_and_webserver_share_one_code_server(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    workspace = prepare_dagster_home(tmp_path / "home", tmp_path, Ports(code_server=4321))
    assert "port: 4321" in workspace.read_text()
    assert (tmp_path / "home" / "dagster" / "dagster.yaml").exists()
