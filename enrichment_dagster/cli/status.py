"""``enrichment status``: is everything accounted for, and in time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from enrichment_dagster.cli.command import NOT_MET, command
from enrichment_dagster.cli.output import make_console, print_json
from enrichment_dagster.cli.reading import open_existing
from enrichment_dagster.settings import Settings, load_settings

if TYPE_CHECKING:
    from enrichment_dagster.composition import Stores

_REFRESH_SECONDS = 2.0


@command(
    "status",
    not_met="the account does not balance, a lane breaches its target, no sensor ticks, spending is stopped, a "
    "provider's lifetime cap is nearly used, or there is no store",
)
@click.option("--watch", is_flag=True, help="Refresh every 2 seconds until Ctrl-C; with --json one line each time.")
def status(*, watch: bool, as_json: bool) -> None:
    """Show what was received and how it went: received = terminal + dead + in flight.

    Shows outcomes, each lane's latency against its target, deliveries and late answers that are owed, money, providers
    in trouble, and signs of life. A tick older than 30 s means that Dagster's daemon is dead.
    """
    settings = load_settings()
    with open_existing(settings) as stores:
        if watch:
            _watch(settings, stores, as_json=as_json)
            return
        report = _report(settings, stores)
    if as_json:
        print_json(report)
    else:
        _show(report)
    if not report["healthy"]:
        raise click.exceptions.Exit(NOT_MET)


def _report(settings: Settings, stores: Stores) -> dict[str, Any]:
    from enrichment_dagster.cli.status_report import build_status

    return build_status(stores, settings.config)


def _show(report: dict[str, Any]) -> None:
    from enrichment_dagster.cli.status_view import status_view

    make_console().print(status_view(report))


def _watch(settings: Settings, stores: Stores, *, as_json: bool) -> None:
    try:
        while True:
            report = _report(settings, stores)
            if as_json:
                print_json(report, compact=True)
            else:
                click.clear()
                _show(report)
            time.sleep(_REFRESH_SECONDS)
    except KeyboardInterrupt:
        return
