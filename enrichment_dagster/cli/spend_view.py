"""The day's money as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from enrichment_dagster.cli.output import add_row, clean, make_table
from enrichment_dagster.cli.standings import CLOSED, standing_text
from enrichment_dagster.cli.words import dollars

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_NUMBERS = ("spent", "in flight", "budget", "used", "calls", "hits", "per hit", "ever", "cap")


def spend_view(report: Mapping[str, Any]) -> RenderableType:
    """Return the stops and the day's table."""
    from rich.console import Group

    return Group(*_stops(report), _table(report))


def _stops(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    from rich.text import Text

    for stop in report["stops"]:
        yield Text(clean(stop_text(stop)), style="bold red")


def stop_text(stop: Mapping[str, Any]) -> str:
    """Return a stop in words, with how to end it."""
    who = "all spending is stopped" if stop["provider"] == "all" else f"{stop['provider']} is stopped"
    why = f": {stop['reason']}" if stop["reason"] else ""
    return f"{who} since {stop['stopped_at']}{why}; `enrichment spend --resume {stop['provider']}` ends that"


def _table(report: Mapping[str, Any]) -> Table:
    table = make_table(f"Spend on {report['day']} (UTC)", "provider", *_NUMBERS, "standing", right=_NUMBERS)
    for item in report["providers"]:
        ever = [item["lifetime_calls"] or "-", item["lifetime_cap"] or "-"]
        style = "red" if item["stopped"] else "yellow" if _standing(item) else ""
        add_row(table, item["provider"], *_numbers(item), *ever, _standing(item), style=style)
    table.add_section()
    add_row(table, "all together", *_numbers(report["total"]), "", "", "STOPPED" if report["stopped"] else "")
    return table


def _numbers(item: Mapping[str, Any]) -> list[Any]:
    return [
        dollars(item["held_usd"]),
        dollars(item["reserved_usd"]) if item["reserved_usd"] else "-",
        "-" if item["budget_usd"] is None else dollars(item["budget_usd"]),
        share_text(item["budget_share"]),
        item["calls"],
        item["hits"],
        "-" if item["usd_per_hit"] is None else dollars(round(item["usd_per_hit"], 3)),
    ]


def share_text(share: float | None) -> str:
    """Return a share in per cent; a dash where there is nothing to share."""
    return "-" if share is None else f"{share:.0%}"


def _standing(item: Mapping[str, Any]) -> str:
    words = standing_text(item["breaker"] or CLOSED, demoted=item["demoted"])
    return ", ".join(part for part in ("STOPPED" if item["stopped"] else "", words) if part)
