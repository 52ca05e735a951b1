"""The decisions of one event as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from enrichment_dagster.cli.explain_steps import step_text, was_asked
from enrichment_dagster.cli.output import add_row, make_table

if TYPE_CHECKING:
    from rich.console import RenderableType


def steps_table(steps: Sequence[Mapping[str, Any]]) -> RenderableType | None:
    """Return the decisions; None where there are none to tell."""
    if not steps:
        return None
    several = len({step["work_id"] for step in steps}) > 1
    columns = (*(("work",) if several else ()), "lookup", "what came of it", "gave", "latency", "cost")
    table = make_table("Decisions", *columns, right=("latency", "cost"))
    for step in steps:
        work = [work_name(step["work_id"])] if several else []
        latency = f"{step['latency_ms']} ms" if step["latency_ms"] else "-"
        cells = (step["lookup"], step_text(step), ", ".join(step["fields"]), latency, money_cell(step["cost_usd"]))
        add_row(table, *work, *cells, style=_step_style(step))
    return table


def passed_over_table(lookups: Sequence[Mapping[str, str]]) -> RenderableType | None:
    """Return the lookups that the plan lists and nobody can ask; None where there are none."""
    if not lookups:
        return None
    table = make_table("Not asked, as the configuration stands", "lookup", "why")
    for item in lookups:
        add_row(table, item["lookup"], item["reason"])
    return table


def _step_style(step: Mapping[str, Any]) -> str:
    if step["result"] in {"error", "refused"}:
        return "red"
    return "" if was_asked(step) else "dim"


def work_name(work_id: str) -> str:
    """Return what tells a follow-up from the event's own work."""
    return work_id.partition("/")[2] or "event"


def late_answers_table(answers: Sequence[Mapping[str, Any]]) -> RenderableType | None:
    """Return the answers that come later; None where there are none."""
    if not answers:
        return None
    columns = ("lookup", "state", "asked (UTC)", "polls", "next poll (UTC)", "given up at (UTC)")
    table = make_table("Late answers", *columns, right=("polls",))
    for item in answers:
        polled = item["next_poll_at"] or "-"
        cells = (item["lookup"], item["state"], item["asked_at"], item["polls"], polled, item["expires_at"])
        add_row(table, *cells, style="yellow" if item["state"] == "waiting" else "")
    return table


def money_cell(usd: float) -> str:
    """Return an amount, or a dash for nothing."""
    return f"${usd:.3f}" if usd else "-"
