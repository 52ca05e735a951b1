"""The configuration that benchmarks run with: the shipped one, with nothing in it that holds work back on purpose."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.machine import PROJECT
from enrichment_dagster.settings import Settings, parse_config

_HIGHEST_CONCURRENCY = 1_000
_RICH_USD = 1_000_000.0
"""Budgets stay, so that asking for the money costs what it costs in production; none of them is ever used up."""


def lift_limits(config: dict[str, Any]) -> None:
    """Take the limits out that are there for vendors' and customers' sake: they would be measured, not the product.

    The shipped file allows Apollo 16 calls a second and Clearbit 10 after a first burst, and 500 US dollars a day.
    """
    for provider in config["providers"].values():
        provider["limits"] = {"per_second": None, "burst": 10_000, "concurrency": _HIGHEST_CONCURRENCY}
        provider.pop("usd_per_day", None)
    config["budget"] = {"usd_per_day": _RICH_USD}
    for event_type in config["event_types"].values():
        for plan in event_type["lanes"].values():
            if "budget_usd" in plan:
                plan["budget_usd"] = _RICH_USD


def write_configuration(folder: Path) -> Path:
    """Write a project of its own (``enrichment.yaml`` without limits, ``dagster.yaml`` as is); returns the former."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROJECT / "dagster.yaml", folder / "dagster.yaml")
    config = yaml.safe_load((PROJECT / "enrichment.yaml").read_text(encoding="utf-8"))
    lift_limits(config)
    path = folder / "enrichment.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def changed(settings: Settings, change: Callable[[dict[str, Any]], None]) -> Settings:
    """Return settings whose configuration differs from the file's."""
    config = yaml.safe_load(settings.config_path.read_text(encoding="utf-8"))
    change(config)
    return replace(settings, config=parse_config(yaml.safe_dump(config)))
