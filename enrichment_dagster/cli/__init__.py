"""The command line, ``enrichment``. A command's module is imported when the command is used: ``--help`` stays quick."""

from __future__ import annotations

import click

from enrichment_dagster.cli.lazy import LazyCommand, LazyGroup

# A new command is one line here.
COMMANDS = (
    LazyCommand("demo", "enrichment_dagster.cli.demo:demo", "Everything against emulators, with leads coming in."),
    LazyCommand("up", "enrichment_dagster.cli.up:up", "Start and supervise everything until Ctrl-C."),
    LazyCommand(
        "status", "enrichment_dagster.cli.status:status", "What came in, how it went, what is owed; exit 1 if unwell."
    ),
    LazyCommand(
        "explain", "enrichment_dagster.cli.explain:explain", "The journey of one event: calls, fields, writes, reasons."
    ),
    LazyCommand("plan", "enrichment_dagster.cli.plan:plan", "Whom an event type asks, in which order, at which price."),
    LazyCommand(
        "spend", "enrichment_dagster.cli.spend:spend", "Today's money against budgets; stops and resumes paid calls."
    ),
    LazyCommand(
        "suppress", "enrichment_dagster.cli.suppress:suppress", "Who is left alone: people, companies, records."
    ),
    LazyCommand(
        "send", "enrichment_dagster.cli.send:send", "Send an event to the gateway as its sender would, signed."
    ),
    LazyCommand("sql", "enrichment_dagster.cli.sql:sql", "Query the warehouse, or open a DuckDB prompt on it."),
    LazyCommand("doctor", "enrichment_dagster.cli.doctor:doctor", "Check everything and say what to do."),
    LazyCommand("config", "enrichment_dagster.cli.config:config", "Show or check the configuration, without secrets."),
)


@click.group(
    cls=LazyGroup,
    commands_by_name={entry.name: entry for entry in COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExit codes:\n  0  all is well\n  1  a condition is not met: unwell, not found, refused\n"
    "  2  wrong usage or configuration",
)
@click.version_option(package_name="enrichment-dagster", prog_name="enrichment")
def main() -> None:
    """Event-triggered CRM enrichment on Dagster.

    The configuration is enrichment.yaml here, or what ENRICHMENT_CONFIG names; the stores are in .enrichment, or where
    ENRICHMENT_HOME points.
    """
