"""The state of the installation as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from enrichment_dagster.cli.output import add_row, clean, make_table
from enrichment_dagster.cli.spend_view import share_text
from enrichment_dagster.cli.standings import standing_text
from enrichment_dagster.cli.words import counts_text, dollars, seconds_text

if TYPE_CHECKING:
    from rich.console import RenderableType

_MOST_WORDS = 5  # of what CRMs say, the most frequent first


def status_view(report: Mapping[str, Any]) -> RenderableType:
    """Return everything, one table under the other."""
    from rich.console import Group

    return Group(*_headline(report), *_tables(report))


def _headline(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    from rich.text import Text

    if report["healthy"]:
        yield Text("healthy", style="bold green")
    else:
        yield Text("NOT HEALTHY", style="bold red")
    for problem in report["problems"]:
        yield Text(f"  {clean(problem)}", style="yellow")


def _tables(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield _events(report)
    yield _lanes(report["lanes"])
    yield _deliveries(report)
    if report["loops"]["prevented_24h"]:
        yield _loops(report["loops"]["prevented_24h"])
    yield _money(report["money"])
    if table := _providers(report["providers"]):
        yield table
    if report["spend_usd_24h"]:
        yield _spend(report["spend_usd_24h"])
    yield _beats(report["beats"])


def _events(report: Mapping[str, Any]) -> RenderableType:
    events = report["events"]
    table = make_table("Events", "received", "=", "terminal", "dead", "in flight", "not picked up", "outcomes")
    outcomes = counts_text(sorted(report["outcomes"].items())) or "-"
    sign = "=" if events["holds"] else "≠"
    counts = [events[name] for name in ("terminal", "dead", "in_flight")]
    style = "" if events["holds"] else "red"
    add_row(table, events["received"], sign, *counts, report["backlog"], outcomes, style=style)
    return table


def _lanes(lanes: Mapping[str, Any]) -> RenderableType:
    columns = (
        "event type",
        "target",
        "p50",
        "p95",
        "p99",
        "open",
        "oldest open",
        "lag",
        "samples",
        "filled",
        "verdict",
    )
    table = make_table("Lanes (latency: last hour, fields: last 24 h)", *columns, right=columns[1:-1])
    for name, lane in lanes.items():
        add_row(
            table,
            name,
            seconds_text(lane["target_seconds"]),
            *(seconds_text(lane[f"p{p}_seconds"]) if lane["samples"] else "-" for p in (50, 95, 99)),
            lane["open"],
            seconds_text(lane["oldest_open_seconds"]) if lane["open"] else "-",
            f"{lane['due']} for {seconds_text(lane['lag_seconds'])}" if lane["due"] else "-",
            lane["samples"],
            f"{lane['coverage']['coverage']:.0%}" if lane["coverage"]["samples"] else "-",
            "in time" if lane["passed"] else lane["message"],
            style="" if lane["passed"] else "red",
        )
    return table


def _deliveries(report: Mapping[str, Any]) -> RenderableType:
    owed, projector = report["owed"], report["projector"]
    table = make_table("Owed and waiting", "what", "how much", "details", right=("how much",))
    reasons = counts_text(sorted(owed["reasons"].items()))
    details = f"oldest {seconds_text(owed['oldest_seconds'])}" if owed["entries"] else ""
    add_row(table, "CRM writes owed", owed["entries"], "; ".join(part for part in (details, reasons) if part))
    refused = report["crm_refused"]
    words = counts_text(list(refused.items())[:_MOST_WORDS])
    add_row(table, "refused by CRMs, last 24 h", sum(refused.values()), words)
    late = report["pending_answers"]
    lookups = counts_text(sorted(late["lookups"].items()))
    age = f"oldest {seconds_text(late['oldest_seconds'])}" if late["waiting"] else ""
    add_row(table, "late answers awaited", late["waiting"], "; ".join(part for part in (age, lookups) if part))
    unread = counts_text(sorted(report["kept_body_reasons"].items()))
    add_row(table, "unreadable bodies kept", report["kept_bodies"], unread)
    for sender, reasons in report["refused"].items():
        why = counts_text(sorted(reasons.items()))
        add_row(table, f"requests refused: {sender}", sum(reasons.values()), why)
    add_row(
        table,
        "changes not in the warehouse",
        projector["lag"],
        f"at {projector['projected_rev']} of {projector['rev']}",
    )
    return table


def _loops(prevented: Mapping[str, Any]) -> RenderableType:
    columns = ("event type", "our own writes", "second in a row", "saved, estimated")
    table = make_table("Events that our own writes caused, last 24 h (not enriched)", *columns, right=columns[1:])
    for name, found in prevented.items():
        saved = dollars(found["saved_usd"]) if found["saved_usd"] else "-"
        add_row(table, name, found["own_write"], found["causality_depth"], saved)
    return table


def _money(money: Mapping[str, Any]) -> RenderableType:
    table = make_table(f"Money, {money['day']} (UTC)", "spent", "of budget", "used", "stopped", right=("spent", "used"))
    budget = "no budget" if money["budget_usd"] is None else dollars(money["budget_usd"])
    stops = ", ".join(stop["provider"] for stop in money["stops"]) or "-"
    style = "red" if money["stops"] else ""
    add_row(table, dollars(money["held_usd"]), budget, share_text(money["budget_share"]), stops, style=style)
    return table


def _providers(providers: Mapping[str, Any]) -> RenderableType | None:
    """Return the providers that something is wrong with."""
    found = {name: standing_text(item["breaker"], demoted=item["demoted"]) for name, item in providers.items()}
    if not any(found.values()):
        return None
    table = make_table("Providers in trouble", "provider", "what")
    for name, words in found.items():
        if words:
            add_row(table, name, words, style="yellow")
    return table


def _spend(spend: Mapping[str, float]) -> RenderableType:
    table = make_table("Spend, last 24 h", "provider", "USD", right=("USD",))
    for provider, amount in sorted(spend.items()):
        add_row(table, provider, f"{amount:.3f}")
    return table


def _beats(beats: Mapping[str, Any]) -> RenderableType:
    table = make_table("Signs of life", "loop", "last seen", "")
    for name, beat in beats.items():
        age = "never" if beat["age_seconds"] is None else f"{seconds_text(beat['age_seconds'])} ago"
        add_row(table, name, age, "DEAD" if beat["dead"] else "", style="red" if beat["dead"] else "")
    return table
