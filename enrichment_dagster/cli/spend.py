"""``enrichment spend``: today's money, and the switch that stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from enrichment_dagster.cli.command import WrongUse, command
from enrichment_dagster.cli.output import make_console, print_json
from enrichment_dagster.cli.reading import open_existing
from enrichment_dagster.settings import Settings, load_settings

if TYPE_CHECKING:
    from enrichment_dagster.composition import Stores
    from enrichment_dagster.store.spending import SpendingStore, Stop


@command(
    "spend",
    not_met="there is no store yet",
    wrong_use="wrong usage (no such provider) or configuration",
    examples=('enrichment spend --stop apollo --reason "invoice is disputed"', "enrichment spend --resume apollo"),
)
@click.option("--stop", metavar="NAME|all", help="Make no more paid calls to this provider, or to any.")
@click.option("--resume", metavar="NAME|all", help="Take such a stop away again; other stops stay.")
@click.option("--reason", default="", help="Why it is stopped, for whoever reads it later.")
def spend(*, stop: str | None, resume: str | None, reason: str, as_json: bool) -> None:
    """Show what today's calls cost, against budgets and caps; a day is a UTC day.

    --stop and --resume take effect with the next paid call of every process. Calls that are under way end, and answers
    from the cache are still used.
    """
    if stop and resume:
        raise click.UsageError("--stop or --resume, not both")
    if reason and not stop:
        raise click.UsageError("--reason goes with --stop")
    settings = load_settings()
    with open_existing(settings) as stores:
        if stop:
            _stop(settings, stores, stop, reason, as_json=as_json)
        elif resume:
            _resume(settings, stores, resume, as_json=as_json)
        else:
            _show(settings, stores, as_json=as_json)


def _store(stores: Stores) -> SpendingStore:
    from enrichment_dagster.store.spending import SpendingStore

    return SpendingStore(stores.ops, stores.clock)


def _show(settings: Settings, stores: Stores, *, as_json: bool) -> None:
    from enrichment_dagster.cli.spend_report import build_spend

    report = build_spend(settings.config, _store(stores), stores.health().provider_states(), stores.clock.now())
    if as_json:
        print_json(report)
        return
    from enrichment_dagster.cli.spend_view import spend_view

    make_console().print(spend_view(report))


def _stop(settings: Settings, stores: Stores, name: str, reason: str, *, as_json: bool) -> None:
    store = _store(stores)
    _require_known(name, [*settings.config.providers])
    store.stop(name, reason)
    who = "any provider" if name == "all" else name
    _tell(
        store,
        f"stopped: no process makes another paid call to {who}; `enrichment spend --resume {name}` ends that",
        as_json=as_json,
    )


def _resume(settings: Settings, stores: Stores, name: str, *, as_json: bool) -> None:
    store = _store(stores)
    # A provider that has left the configuration may still have a stop.
    _require_known(name, [*settings.config.providers, *(item.provider for item in store.stops())])
    _tell(store, "resumed" if store.resume(name) else f"{name} was not stopped", as_json=as_json)


def _require_known(name: str, providers: list[str]) -> None:
    known = [*dict.fromkeys(provider for provider in providers if provider != "all"), "all"]
    if name not in known:
        raise WrongUse("unknown_provider", f"no provider is called {name}; known are {', '.join(known)}")


def _tell(store: SpendingStore, message: str, *, as_json: bool) -> None:
    """Say what was done, and what is stopped now."""
    from enrichment_dagster.cli.spend_report import build_stop

    stops: list[Stop] = store.stops()
    if as_json:
        report: dict[str, Any] = {"message": message, "stops": [build_stop(item) for item in stops]}
        print_json(report)
        return
    click.echo(message)
    for item in stops:
        click.echo(f"stopped now: {item.provider}{f' ({item.reason})' if item.reason else ''}")
