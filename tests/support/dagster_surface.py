"""Dagster's surface as text. Rewrite the snapshot: ``PYTHONPATH=tests python -m support.dagster_surface``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from enrichment_dagster.definitions import defs

SNAPSHOT = Path(__file__).parents[1] / "integration" / "dagster" / "surface.txt"


def surface() -> str:
    sections = {
        "assets": _assets(),
        "checks": _checks(),
        "jobs": _jobs(),
        "sensors": _sensors(),
        "schedules": _schedules(),
    }
    return "\n".join(
        "".join([f"{name}\n", *(f"  {line}\n" for line in sorted(found))]) for name, found in sections.items()
    )


def _assets() -> Iterator[str]:
    for spec in defs.resolve_all_asset_specs():
        days = " by day" if isinstance(spec.partitions_def, dg.DailyPartitionsDefinition) else ""
        upstream = ", ".join(sorted(dep.asset_key.to_user_string() for dep in spec.deps)) or "-"
        fresh = " fresh" if spec.freshness_policy else ""
        yield (
            f"{spec.key.to_user_string()}: {spec.group_name}, {'+'.join(sorted(spec.kinds))}, "
            f"{', '.join(spec.owners)}{days}{fresh} <- {upstream}"
        )


def _checks() -> Iterator[str]:
    for key in defs.resolve_asset_graph().asset_check_keys:
        blocking = " blocking" if defs.resolve_asset_graph().get(key).blocking else ""
        yield f"{key.asset_key.to_user_string()}: {key.name}{blocking}"


def _jobs() -> Iterator[str]:
    for job in defs.resolve_all_job_defs():
        if not job.name.startswith("__"):
            steps = ", ".join(sorted(node.name for node in job.nodes))
            tags = " ".join(f"{name}={value}" for name, value in sorted(job.tags.items()))
            yield f"{job.name}: {steps} ({job.executor_def.name}; {tags})"


def _sensors() -> Iterator[str]:
    for sensor in defs.get_repository_def().sensor_defs:
        jobs = ", ".join(target.job_name for target in sensor.targets) or "-"
        yield f"{sensor.name}: every {sensor.minimum_interval_seconds} s, {sensor.default_status.value} -> {jobs}"


def _schedules() -> Iterator[str]:
    for found in defs.get_repository_def().schedule_defs:
        yield f"{found.name}: {found.cron_schedule} {found.execution_timezone}, {found.default_status.value}"


if __name__ == "__main__":
    SNAPSHOT.write_text(surface(), encoding="utf-8")
