"""What Dagster shows of the product, and what it costs to load."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
from dagster._core.run_coordinator import QueuedRunCoordinator
from support.dagster_surface import SNAPSHOT, surface

from enrichment_dagster.definitions import defs

ROOT = Path(__file__).parents[3]
HEAVY = ("polars", "pandera", "duckdb", "httpx", "aiohttp", "fastapi", "pyarrow", "enrichment_dagster.sandbox")
MAX_MODULES = 540
"""Beside `import dagster`: 440 when this was written, half of them needed by Dagster's instance in any case."""


def run_python(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_surface_is_as_recorded() -> None:
    """Names that people and scripts know change on purpose only: PYTHONPATH=tests python -m support.dagster_surface."""
    assert surface() == SNAPSHOT.read_text(encoding="utf-8")


def test_every_asset_says_what_it_is_and_whose() -> None:
    for spec in defs.resolve_all_asset_specs():
        assert len(spec.description or "") > 40, spec.key
        assert spec.owners
        assert spec.group_name != "default"
        assert 0 < len(spec.kinds) <= 3, "the UI shows three"


def test_everything_that_runs_by_itself_says_what_it_does() -> None:
    repository = defs.get_repository_def()
    for found in (*repository.sensor_defs, *repository.schedule_defs, *repository.get_all_jobs()):
        if not found.name.startswith("__"):
            assert found.description, found.name
    for key in defs.resolve_asset_graph().asset_check_keys:
        assert defs.resolve_asset_graph().get(key).description


def test_loading_the_definitions_is_cheap(tmp_path: Path) -> None:
    """Every run imports them anew: what a run does not need it must not load, and a lead waits for the rest."""
    script = (
        "import sys, dagster; before = len(sys.modules); import enrichment_dagster.definitions\n"
        f"print(len(sys.modules) - before, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = run_python("-c", script, home=tmp_path)
    assert done.returncode == 0, done.stderr
    count, _, heavy = done.stdout.strip().partition(" ")
    assert heavy == "[]"
    assert int(count) < MAX_MODULES


def test_dagster_accepts_the_shipped_instance_file(instance: dg.DagsterInstance) -> None:
    """Quick to start runs, bounded in what it keeps."""
    coordinator = instance.run_coordinator
    assert isinstance(coordinator, QueuedRunCoordinator)
    assert coordinator.dequeue_interval_seconds == 1
    queue = coordinator.get_run_queue_config()
    waits = queue.max_user_code_failure_retries * queue.user_code_failure_retry_delay
    assert waits >= 60, "a code server that starts anew under load takes 15 s; a run that waits for it must not fail"
    assert coordinator.dequeue_use_threads
    limits = instance.get_concurrency_config().run_queue_config
    assert limits is not None
    assert limits.max_concurrent_runs == 6
    assert {(limit["key"], limit["limit"]) for limit in limits.tag_concurrency_limits} == {
        ("enrichment/lane", 2),
        ("dagster/backfill", 1),
    }
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_poll_interval_seconds == 10
    assert instance.run_monitoring_max_runtime_seconds > 0
    assert not instance.run_retries_enabled
    assert instance.get_settings("sensors")["use_threads"]
    assert instance.freshness_enabled
    assert instance.get_settings("retention")["sensor"]["purge_after_days"]["skipped"] == 1
    assert not instance.nux_enabled


def test_a_plain_dagster_dev_finds_everything(tmp_path: Path) -> None:
    """``workspace.yaml`` serves those who do not use ``enrichment up``."""
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    done = run_python("-m", "dagster", "definitions", "validate", "-w", "workspace.yaml", home=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "enrichment" in done.stdout + done.stderr
