"""What the scripts share: options, the result's frame, the printed table."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.machine import describe_machine
from benchmarks.results import HEADER, Result, table

RESULTS = Path(__file__).parent / "results"
QUICK_RESULTS = RESULTS / "quick"
BASE_PORT = 28_080


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a benchmark."""

    quick: bool = False
    base_port: int = BASE_PORT
    keep: bool = False


Measure = Callable[[Options, Result], None]


def results_folder(quick: bool, chosen: Path | None) -> Path:
    """Return where results go: a quick run must not replace recorded figures."""
    return chosen or (QUICK_RESULTS if quick else RESULTS)


def script(name: str, title: str, measure: Measure, parameters: Callable[[Options], dict[str, Any]]) -> click.Command:
    """Return the command of a benchmark."""

    @click.command(name, help=f"{title}.", context_settings={"help_option_names": ["-h", "--help"]})
    @click.option("--quick", is_flag=True, help="Small numbers, to see whether it works; kept apart from the figures.")
    @click.option("--results", type=click.Path(path_type=Path), help="Folder of the result.  [default: results]")
    @click.option("--base-port", default=BASE_PORT, show_default=True, help="First of four ports in a row.")
    @click.option("--keep", is_flag=True, help="Keep the home with its stores and logs.")
    def main(quick: bool, results: Path | None, base_port: int, keep: bool) -> None:
        options = Options(quick, base_port, keep)
        machine = describe_machine(Path(tempfile.gettempdir()))
        result = Result(name, title, quick, machine, parameters(options))
        measure(options, result)
        path = result.write(results_folder(quick, results))
        click.echo(f"\n{title}\n{table(HEADER, [figure.row() for figure in result.figures])}\n-> {path}")

    return main
