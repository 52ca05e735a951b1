"""How much the stores grow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.burst import SIZE, wait_for_runs
from benchmarks.command import Options, script
from benchmarks.hops import runs_since
from benchmarks.journey import Watcher, deliver, warm_up
from benchmarks.results import Result
from benchmarks.stack import Installation, installation
from enrichment_dagster.composition import open_warehouse
from enrichment_dagster.store.maintenance import maintain


def parameters(options: Options) -> dict[str, Any]:
    """Return the sizes."""
    return {
        "burst_events": SIZE if options.quick else 2 * SIZE,
        "lone_events": 2 if options.quick else 10,
        "sizes": "bytes allocated on the disk, with all processes stopped (so that no write-ahead log is left)",
    }


def measure(options: Options, result: Result) -> None:
    """Compare the stores' sizes before and after; the stack is stopped for each look."""
    with installation(options.base_port, keep=options.keep) as place:
        with place.running():
            warm_up(place)
            burst(place, 50)
        before = sizes(place.home)
        began = time.time()
        with place.running():
            for _ in range(result.parameters["burst_events"] // SIZE):
                burst(place, SIZE)
        after_bursts, burst_runs = sizes(place.home), runs_since(place, began)
        began = time.time()
        with place.running():
            warm_up(place, result.parameters["lone_events"])
        after_lone, lone_runs = sizes(place.home), runs_since(place, began)
        maintain(open_warehouse(place.settings))
        upkept = sizes(place.home)
    result.details.update(before=before, after_bursts=after_bursts, after_lone=after_lone, after_maintenance=upkept)
    result.details.update(burst_runs=burst_runs, lone_runs=lone_runs)
    for store, first in before.items():
        grown = (after_bursts[store] - first) / result.parameters["burst_events"]
        result.add(f"{store}: per 1,000 events that came in bursts", grown, "kB")
    lone_growth = (after_lone["Dagster home"] - after_bursts["Dagster home"]) / max(1, lone_runs) / 1_000
    result.add("Dagster home: per run of a lone event", lone_growth, "kB")
    result.add("warehouse: all of it before maintenance", after_lone["warehouse"] / 1_000, "kB")
    result.add("warehouse: all of it after maintenance", upkept["warehouse"] / 1_000, "kB")


def burst(place: Installation, count: int) -> None:
    """Let leads come at once and arrive."""
    leads = place.crms.create(count)
    with Watcher(place) as watcher:
        deliver(place, leads, [0.0] * count)
        watcher.wait_for(leads, 180)
    wait_for_runs(place)
    print(f"{count} leads arrived", flush=True)


def sizes(home: Path) -> dict[str, int]:
    """Return the bytes on the disk by store."""
    places = {
        "journal.db": home / "journal.db",
        "ops.db": home / "ops.db",
        "warehouse": home / "warehouse",
        "Dagster home": home / "dagster",
        "logs": home / "logs",
    }
    return {name: allocated(path) for name, path in places.items()}


def allocated(path: Path) -> int:
    """Return the bytes that a file or a folder's files take on the disk."""
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.name}*")
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file())


main = script("growth", "F. Growth of the stores", measure, parameters)

if __name__ == "__main__":
    main()
