"""Runs benchmarks one after the other, each in a process of its own: ``python benchmarks/run.py [names] [--quick]``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click

PROJECT = str(Path(__file__).resolve().parents[1])
if not __package__:  # started as a script: its own folder comes first, where its modules have other names
    sys.path[0] = PROJECT

from benchmarks.command import BASE_PORT, results_folder  # noqa: E402
from benchmarks.report import README, update_readme  # noqa: E402
from benchmarks.results import HEADER, load_results, table  # noqa: E402

NAMES = (
    "engine", "engine_bulk", "engine_overhead", "engine_errors",
    "latency", "burst", "rest", "growth", "intake", "intake_rates", "mixed", "routing",
)  # fmt: skip
QUIET_LOAD = 0.6
_TIMEOUT_SECONDS = 2_400


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--quick", is_flag=True, help="Small numbers, to see whether all works; kept in results/quick.")
@click.option("--check", is_flag=True, help="Exit with 1 when a target is missed.")
@click.option("--report", is_flag=True, help="Run nothing; write the recorded figures into README.md.")
@click.option("--results", type=click.Path(path_type=Path), help="Folder of the results.")
@click.option("--base-port", default=BASE_PORT, show_default=True, help="First port.")
@click.option("--quiet-seconds", default=180.0, show_default=True, help="How long to wait for an idle machine.")
def main(
    names: tuple[str, ...],
    quick: bool,
    check: bool,
    report: bool,
    results: Path | None,
    base_port: int,
    quiet_seconds: float,
) -> None:
    """Measure what the targets speak of; without names all of it (about an hour)."""
    folder = results_folder(quick, results)
    if report:
        update_readme(README, load_results(folder))
        click.echo(f"{README} holds the figures of {folder}")
        return
    chosen, failed = names or NAMES, []
    for name in chosen:
        wait_until_quiet(0.0 if quick else quiet_seconds)
        click.echo(f"\n=== {name}")
        if not run_one(name, folder, quick, base_port):
            failed.append(name)
            click.echo(f"{name} did not finish", err=True)
    missed = summarise(folder, [name for name in chosen if name not in failed])
    if failed:
        raise SystemExit(2)
    if check and missed:
        raise SystemExit(1)


def run_one(name: str, folder: Path, quick: bool, base_port: int) -> bool:
    """Run one benchmark; False when it broke. A target that it misses is not a failure."""
    words = ["-m", f"benchmarks.{name}", "--results", str(folder), "--base-port", str(base_port)]
    # Without byte code every start would compile a thousand modules.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = PROJECT
    command = [sys.executable, *words, *(["--quick"] if quick else [])]
    try:
        return subprocess.run(command, env=environment, timeout=_TIMEOUT_SECONDS, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def wait_until_quiet(seconds: float) -> None:
    """Wait until the machine has little else to do; say so when it has."""
    give_up = time.monotonic() + seconds
    while os.getloadavg()[0] > QUIET_LOAD and time.monotonic() < give_up:
        time.sleep(2)
    load = os.getloadavg()[0]
    if load > QUIET_LOAD:
        click.echo(f"the machine is busy (load average {load:.2f}): figures will be worse than they should")


def summarise(folder: Path, names: list[str]) -> int:
    """Print all figures and return how many targets were missed."""
    figures = []
    for name in names:
        figures += json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["figures"]
    rows = [(f["name"], f["target"], f"{f['measured']:g} {f['unit']}", f["verdict"]) for f in figures]
    click.echo("\n" + table(HEADER, rows) if rows else "nothing was measured")
    return sum(figure["verdict"] == "MISSED" for figure in figures)


if __name__ == "__main__":
    main()
