"""``enrichment demo``: everything against the emulators, and leads that come in while you watch."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from enrichment_dagster.cli.command import Failure, command
from enrichment_dagster.cli.output import print_json
from enrichment_dagster.cli.up import addresses, build_supervisor, port_options, ports_of, stop_signal
from enrichment_dagster.cli.words import counts_text
from enrichment_dagster.composition import open_stores
from enrichment_dagster.settings import HOME_VARIABLE, load_settings
from enrichment_dagster.store.ended import EndedEvent, RoutedEvent, ended_since, routed_since
from enrichment_dagster.supervise.supervisor import Interrupted, Supervisor

if TYPE_CHECKING:
    from enrichment_dagster.sandbox.traffic import LeadSent

_ENDLESS = 1_000_000
_POLL_SECONDS = 0.2
_MARKS = {"enriched": "+", "partial": "~", "unchanged": "=", "skipped": "-", "failed": "!", "dead": "!"}


@command(
    "demo",
    not_met="leads were not enriched in time",
    examples=["enrichment demo", "enrichment demo --leads 20 --rate 5 --exit"],
)
@click.option("--leads", default=_ENDLESS, help="How many leads come in.  [default: no end]")
@click.option("--rate", default=0.5, show_default=True, help="Leads per second.")
@click.option("--exit", "leave", is_flag=True, help="Stop when all leads are enriched, instead of at Ctrl-C.")
@click.option("--seconds", default=120.0, show_default=True, help="With --exit: how long to wait for the last lead.")
@port_options
def demo(leads: int, rate: float, leave: bool, seconds: float, as_json: bool, **options: Any) -> None:
    """Start everything against emulated vendors and CRMs, send leads, and show what becomes of each."""
    ports, show = ports_of(options), Show(as_json)
    home = Path(os.environ.get(HOME_VARIABLE) or ".enrichment/demo").resolve()
    stop = stop_signal()
    supervisor = build_supervisor(
        ports,
        sandbox=True,
        tell=show.say,
        environ={**os.environ, HOME_VARIABLE: str(home)},
        interrupted=stop.is_set,
    )
    show.say(f"starting; stores and logs are in {home}")
    ended = 0
    with suppress(Interrupted), supervisor.running():
        show.addresses(addresses(supervisor))
        ended = watch_leads(supervisor, show, stop, leads=leads, rate=rate, seconds=seconds if leave else None)
        show.say("stopping ...")
    show.say(f"stopped; {ended} leads ended")
    if leave and ended < leads:
        raise Failure("not_enriched", f"{leads - ended} of {leads} leads did not end; see {home / 'logs'}")


def watch_leads(
    supervisor: Supervisor, show: Show, stop: threading.Event, *, leads: int, rate: float, seconds: float | None
) -> int:
    """Send leads and show what becomes of them until told to stop; returns how many ended.

    With ``seconds`` it also stops when all leads have ended, or so long after the last was sent.
    """
    watcher = Watcher(supervisor, show)
    sender = threading.Thread(target=send_leads, args=(supervisor, leads, rate, show), daemon=True)
    sender.start()
    deadline = float("inf")

    def done() -> bool:
        nonlocal deadline
        watcher.look()
        if seconds is not None and not sender.is_alive():
            deadline = min(deadline, time.monotonic() + seconds)
        return stop.is_set() or (seconds is not None and watcher.ended >= leads) or time.monotonic() > deadline

    supervisor.watch(done)
    return watcher.ended


class Show:
    """Prints what happens: for people, or for scripts as JSON, one object a line."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, text: str) -> None:
        """Print a remark (for people only)."""
        if not self._as_json:
            click.echo(text)

    def addresses(self, found: dict[str, str]) -> None:
        """Print where to look."""
        if self._as_json:
            print_json({"addresses": found}, compact=True)
        else:
            click.echo("\n" + "\n".join(f"{name:>10}  {value}" for name, value in found.items()) + "\n")

    def sent(self, lead: LeadSent) -> None:
        """Print a lead that was sent."""
        if self._as_json:
            sent = {"system": lead.system, "record_id": lead.record_id, "status": lead.status}
            print_json({"sent": sent}, compact=True)
        else:
            took = lead.answer_seconds * 1_000
            click.echo(f"> {lead.system:<10} {lead.record_id:<18} {lead.email:<40} accepted in {took:.0f} ms")

    def routed(self, event: RoutedEvent) -> None:
        """Print where a lead goes."""
        if self._as_json:
            print_json({"routed": asdict(event)}, compact=True)
            return
        click.echo(
            f"» {'routed':<10} {event.record.rpartition(':')[2]:<18} {event.total_ms / 1_000:>5.1f} s  "
            f"{event.segment} -> {event.route}  ${event.cost_usd:.3f}"
        )

    def ended(self, event: EndedEvent) -> None:
        """Print what became of a lead."""
        if self._as_json:
            print_json({"ended": asdict(event)}, compact=True)
            return
        sources = counts_text(event.fields_by_provider.items())
        what = event.reason or sources or "nothing found"
        write = "-" if event.write_ms is None else f"{event.write_ms / 1_000:.1f}"
        hops = f"wait {event.wait_ms / 1_000:.1f} + work {event.work_ms / 1_000:.1f} + write {write}"
        click.echo(
            f"{_MARKS.get(event.outcome, '?')} {event.outcome:<10} {event.record.rpartition(':')[2]:<18} "
            f"{event.total_ms / 1_000:>5.1f} s ({hops})  ${event.cost_usd:.3f}  {what}  [{event.event_id}]"
        )


class Watcher:
    """Notices events that end."""

    def __init__(self, supervisor: Supervisor, show: Show) -> None:
        self._stores = open_stores(load_settings(supervisor.environment))
        self._rev = self._routed_rev = self._stores.health().rev()
        self._shown: set[str] = set()
        self._routed: set[str] = set()
        self._show = show
        self._next = 0.0

    @property
    def ended(self) -> int:
        """Return how many events ended so far."""
        return len(self._shown)

    def look(self) -> None:
        """Show what was routed and what ended since the last look."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _POLL_SECONDS
        for routed in routed_since(self._stores.ops, self._routed_rev):
            self._routed_rev = max(self._routed_rev, routed.rev - 1)
            if routed.event_id not in self._routed:
                self._routed.add(routed.event_id)
                self._show.routed(routed)
        for event in ended_since(self._stores.ops, self._rev):
            self._rev = max(self._rev, event.rev - 1)  # a revision may hold more events than one look returns
            if event.event_id not in self._shown:
                self._shown.add(event.event_id)
                self._show.ended(event)


def send_leads(supervisor: Supervisor, leads: int, rate: float, show: Show) -> None:
    """Let the emulated CRMs create leads and tell us of them."""
    from enrichment_dagster.sandbox.traffic import LeadTraffic, TrafficConfig

    gateway, variables = supervisor.ports.gateway_url, supervisor.environment
    traffic = LeadTraffic(
        TrafficConfig(
            sandbox_url=supervisor.ports.sandbox_url,
            hubspot_url=f"{gateway}/webhooks/hubspot",
            flow_url=f"{gateway}/webhooks/salesforce/flow",
            hubspot_secret=variables["HUBSPOT_CLIENT_SECRET"],
            flow_secret=variables["SALESFORCE_FLOW_SECRET"],
            rate=rate,
            count=leads,
        )
    )
    asyncio.run(traffic.run(show.sent))
