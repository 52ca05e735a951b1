"""What a benchmark found: figures with their targets, as a table and as a JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any

from benchmarks.stats import KEPT_SAMPLES, summary

_COMPARE = {"<": lt, "<=": le, ">": gt, ">=": ge}
HEADER = ("figure", "target", "measured", "verdict")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. Without a limit it is recorded and not judged."""

    name: str
    measured: float
    unit: str
    limit: float | None = None
    sign: str = "<"  # how the measured number must stand to the limit

    @property
    def verdict(self) -> str:
        """Return "met", "MISSED" or "-"."""
        if self.limit is None:
            return "-"
        return "met" if _COMPARE[self.sign](self.measured, self.limit) else "MISSED"

    @property
    def target(self) -> str:
        """Return the target in words."""
        return "-" if self.limit is None else f"{self.sign} {number(self.limit)} {self.unit}"

    def row(self) -> tuple[str, ...]:
        """Return the figure as a line of a table."""
        return (self.name, self.target, f"{number(self.measured)} {self.unit}", self.verdict)


@dataclass(slots=True)
class Result:
    """Everything that one benchmark found."""

    name: str
    title: str
    quick: bool
    machine: Mapping[str, Any]
    parameters: Mapping[str, Any]
    figures: list[Figure] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def add(
        self,
        name: str,
        measured: float,
        unit: str,
        *,
        below: float | None = None,
        at_most: float | None = None,
        above: float | None = None,
        at_least: float | None = None,
    ) -> None:
        """Add a figure, with one limit at the most."""
        limits = {"<": below, "<=": at_most, ">": above, ">=": at_least}
        sign, limit = next(((s, value) for s, value in limits.items() if value is not None), ("<", None))
        self.figures.append(Figure(name, measured, unit, limit, sign))

    def as_data(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "benchmark": self.name,
            "title": self.title,
            "quick": self.quick,
            "machine": dict(self.machine),
            "parameters": dict(self.parameters),
            "figures": [
                {
                    "name": figure.name,
                    "target": figure.target,
                    "measured": round(figure.measured, 3),
                    "unit": figure.unit,
                    "verdict": figure.verdict,
                }
                for figure in self.figures
            ],
            "percentiles": {name: summary(values) for name, values in self.series.items()},
            "samples": {
                name: [round(value, 3) for value in values]
                for name, values in self.series.items()
                if len(values) <= KEPT_SAMPLES
            },
            "details": self.details,
        }

    def write(self, folder: Path) -> Path:
        """Write it to ``<folder>/<name>.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(self.as_data(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path


def number(value: float) -> str:
    """Return a number as short as it makes sense."""
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table that is readable as text too."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([shown[0], rule, *shown[1:]])


def load_results(folder: Path) -> list[dict[str, Any]]:
    """Return the recorded results, by name."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return [result for result in found if "figures" in result]  # the soak keeps an account, no figures
