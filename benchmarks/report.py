"""The figures in README.md, made from the recorded results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import HEADER, number, table

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- figures: written by `python benchmarks/run.py --report` -->", "<!-- end of figures -->"


def update_readme(path: Path, results: Sequence[dict[str, Any]]) -> None:
    """Replace the part between the marks."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n\n{render(results)}\n\n{END}{tail}", encoding="utf-8")


def render(results: Sequence[dict[str, Any]]) -> str:
    """Return all results as Markdown."""
    ordered = sorted(results, key=lambda result: str(result["title"]))
    return "\n\n".join(_section(result) for result in ordered) or "Nothing is recorded yet."


def _section(result: dict[str, Any]) -> str:
    rows = [
        (figure["name"], figure["target"], f"{number(figure['measured'])} {figure['unit']}", figure["verdict"])
        for figure in result["figures"]
    ]
    parts = [f"### {result['title']}", _circumstances(result["machine"]), table(HEADER, rows)]
    for name, hops in result.get("details", {}).items():
        if name.startswith("hops"):
            lines = [(hop, number(numbers["p50"]), number(numbers["max"])) for hop, numbers in hops.items()]
            parts += [f"{name[:1].upper()}{name[1:]}:", table(("until", "p50", "worst"), lines)]
    return "\n\n".join(parts)


def _circumstances(machine: dict[str, Any]) -> str:
    versions = machine["packages"]
    load = machine["load_average_at_start"][0]
    return (
        f"{machine['date'][:16].replace('T', ' ')} UTC, revision {machine['revision']}, load average before it {load}; "
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']:.0f} GB, {machine['file_system']}, "
        f"Linux {machine['kernel']}, Python {machine['python']}, Dagster {versions['dagster']}, "
        f"DuckDB {versions['duckdb']}, polars {versions['polars']}."
    )
