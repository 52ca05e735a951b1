from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from enrichment_dagster.cli.output import add_row, clean, make_console, make_table, plain


def test_values_of_vendors_can_not_steer_the_terminal() -> None:
    assert clean("a\x1b[2Jb\u202ec") == "a\ufffd[2Jb\ufffdc"
    assert clean(None) == ""


def test_brackets_in_values_are_no_markup() -> None:
    table = make_table("", "value")
    add_row(table, "[red]x[/red]")
    console = make_console()
    with console.capture() as captured:
        console.print(table)
    assert "[red]x[/red]" in captured.get()


def test_what_json_does_not_know_becomes_what_it_knows() -> None:
    moment = datetime(2026, 9, 21, tzinfo=UTC)
    values = [Decimal("0.05"), b"\x01", moment, date(2026, 9, 21), frozenset()]
    assert [plain(value) for value in values] == [0.05, "01", moment.isoformat(), "2026-09-21", "frozenset()"]
