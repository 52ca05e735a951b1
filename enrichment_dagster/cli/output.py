"""Printing: JSON for scripts, tables for people."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WIDE = 140  # columns where nobody looks on: a pipe, a log
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def print_json(data: Any, *, compact: bool = False) -> None:
    """Print JSON; ``compact`` keeps it on one line."""
    click.echo(json.dumps(data, indent=None if compact else 2, ensure_ascii=False, default=plain))


def plain(value: Any) -> Any:
    """Return what JSON does not know in a form that it knows."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def make_console() -> Console:
    """Return a console on standard output."""
    from rich.console import Console

    watched = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if watched else _WIDE, highlight=False, soft_wrap=False, markup=False)


def make_table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table; the columns in ``right`` hold numbers."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def add_row(table: Table, *cells: Any, style: str = "") -> None:
    """Add a row of plain text: nothing in a cell is read as markup or as a command to the terminal."""
    from rich.text import Text

    table.add_row(*(Text(clean(cell)) for cell in cells), style=style)


def clean(value: Any) -> str:
    """Return a value as text that can't steer a terminal."""
    return _CONTROL.sub("\ufffd", "" if value is None else str(value))
