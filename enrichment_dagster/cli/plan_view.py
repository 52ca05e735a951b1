"""A plan as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from enrichment_dagster.cli.output import add_row, clean, make_table
from enrichment_dagster.cli.standings import CLOSED, standing_text
from enrichment_dagster.cli.words import dollars, seconds_text

if TYPE_CHECKING:
    from rich.console import RenderableType

_NOBODY = "nobody"
_CHARGES = {"on_hit": "a hit", "on_call": "a call"}
_MODES = {
    "sequential": "one call after the other",
    "parallel": "all that may help at once",
    "hedged": "the next one too when a call is slow",
}


def plans_view(report: Mapping[str, Any]) -> RenderableType:
    """Return the list of event types."""
    columns = ("event type", "target", "lane", "wanted", "lookups", "mode", "prefer", "deadline", "budget")
    table = make_table("Plans", *columns, right=("target", "wanted", "lookups", "deadline", "budget"))
    for item in report["event_types"]:
        name, target = item["event_type"], seconds_text(item["latency_target_seconds"])
        for lane, plan in item["lanes"].items():
            numbers = [plan[key] for key in ("wanted", "lookups", "mode", "prefer")]
            deadline = seconds_text(plan["deadline_seconds"])
            add_row(table, name, target, lane, *numbers, deadline, _budget(plan["budget_usd"]))
            name = target = ""
    return table


def plan_view(report: Mapping[str, Any]) -> RenderableType:
    """Return one plan."""
    from rich.console import Group

    return Group(*_head(report), _fields(report), *_passed_over(report), *_sum(report))


def _head(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text(clean(f"{report['event_type']}, {report['lane']} lane"), style="bold")
    observed = "" if report["observed"] else " (no store yet: nothing was observed)"
    yield Text(
        f"{report['mode']}: {_MODES[report['mode']]}; {report['prefer']} first{observed}; "
        f"deadline {seconds_text(report['deadline_seconds'])}; budget {_budget(report['budget_usd'])} an event"
    )


def _fields(report: Mapping[str, Any]) -> RenderableType:
    """Return one row for all fields that have the same order: most share it."""
    table = make_table("Whom it asks", "fields", "in this order")
    lookups = {item["lookup"]: item for item in report["lookups"]}
    orders: dict[tuple[str, ...], list[str]] = {}
    for item in report["fields"]:
        orders.setdefault(tuple(item["asked"]), []).append(item["field"])
    for asked, fields in orders.items():
        chain = "\nthen ".join(_lookup(lookups[name]) for name in asked)
        add_row(table, ", ".join(fields), chain or _NOBODY, style="" if asked else "yellow")
    return table


def _lookup(item: Mapping[str, Any]) -> str:
    units = f", up to {item['max_units']}" if item["max_units"] > 1 else ""
    latency = "" if item["p50_ms"] is None else f", {item['p50_ms']:.0f} ms"
    standing = standing_text(item["breaker"] or CLOSED, demoted=item["demoted"])
    words = f"{dollars(item['price_usd'])} {_CHARGES[item['charge']]}{units}{latency}"
    return f"{item['lookup']} ({words}{f'; {standing}' if standing else ''})"


def _passed_over(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    if report["passed_over"]:
        table = make_table("Listed, but passed over", "lookup", "why")
        for item in report["passed_over"]:
            add_row(table, item["lookup"], item["reason"])
        yield table


def _sum(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    from rich.text import Text

    most = f"{dollars(report['most_usd'])} is the most that one event can cost: each lookup once"
    if report["budget_usd"] is None:
        yield Text(f"{most}; there is no budget")
    elif report["within_budget"]:
        yield Text(f"{most}; within its budget of {dollars(report['budget_usd'])}")
    else:
        budget = dollars(report["budget_usd"])
        yield Text(f"{most}; calls beyond its budget of {budget} are not made", style="yellow")


def _budget(amount: float | None) -> str:
    return "-" if amount is None else dollars(amount)
