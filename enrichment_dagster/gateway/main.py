"""Composition root of the gateway process: ``python -m enrichment_dagster.gateway.main``."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import structlog
import uvicorn
from fastapi import FastAPI

from assets.lanes import LANES, with_lane
from enrichment_dagster.composition import Stores, open_stores, preload_all
from enrichment_dagster.engine.routing import RoutingCounts
from enrichment_dagster.errors import ConfigurationError, EnrichmentError
from enrichment_dagster.gateway.api.service import EnrichService, open_enrich
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.checks import journal_check, newest_tick, ops_check
from enrichment_dagster.gateway.connections import SILENT_SECONDS, BoundedProtocol
from enrichment_dagster.gateway.deps import Background, GatewayDeps, Limits
from enrichment_dagster.gateway.housekeeping import (
    CHECK_SECONDS,
    PUMP_SECONDS,
    CheckReporter,
    RoutingReporter,
    every,
    watch_daemon,
)
from enrichment_dagster.gateway.polling import poll_late_answers
from enrichment_dagster.gateway.refusals import RefusalCounts
from enrichment_dagster.gateway.routing import route_leads
from enrichment_dagster.gateway.seats import hold_seat, in_one_process, workers_check
from enrichment_dagster.gateway.services import LateService, RoutingService, open_late_answers, open_routing
from enrichment_dagster.gateway.visitors import KnownVisitors
from enrichment_dagster.intake.registry import build_senders
from enrichment_dagster.interpreter import make_quick
from enrichment_dagster.logs import configure_logging
from enrichment_dagster.masking import known_secrets
from enrichment_dagster.monitoring.checks import Verdict
from enrichment_dagster.ports import REFUSED, DispatchPort
from enrichment_dagster.settings import Settings, load_settings
from enrichment_dagster.store.journal import SqlJournal, open_journal
from enrichment_dagster.store.routing_counts import RoutingTally
from enrichment_dagster.supervise.workers import Workers, end_with, listen
from enrichment_dagster.verdicts import WRITEBACK, Evaluator, evaluate_writeback

if TYPE_CHECKING:
    from enrichment_dagster.reporting import DagsterReporter

_GRACEFUL_SECONDS = 10
_REFUSALS_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class GatewayServer(uvicorn.Server):
    """Says in one line on standard output where it listens, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port and say so."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            click.echo(f"gateway ready on http://{host}:{port}")


@dataclass(frozen=True, slots=True)
class Place:
    """Which of the gateway's processes this is, of how many, and the socket that they share (if they are several)."""

    number: int = 1
    of: int = 1
    listener: int | None = None

    @property
    def owner(self) -> str:
        """Return the name under which this process holds deliveries; its successor has the same."""
        return f"gateway-{self.number}"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that share the port."
)
@click.option("--json-logs", is_flag=True, help="Log lines as JSON.")
@click.option("--listener", type=int, hidden=True)
@click.option("--lifeline", type=int, hidden=True)
@click.option("--worker", default=1, hidden=True)
def main(
    host: str,
    port: int,
    workers: int,
    json_logs: bool,
    listener: int | None,
    lifeline: int | None,
    worker: int,
) -> None:
    """Receive webhooks and record them durably before answering; route new leads."""
    try:
        settings = load_settings()
        configure_logging("gateway", json_logs, known_secrets(settings))
        if workers > 1 and listener is None:
            build_senders(settings)  # what is wrong with the configuration is said once, not by every worker
            open_stores(settings).close()
            run_workers(workers, host, port, json_logs=json_logs)
            return
        if lifeline is not None:
            end_with(lifeline)
        run(settings, host, port, Place(worker, workers, listener))
    except EnrichmentError as error:
        raise click.ClickException(str(error)) from error


def run(settings: Settings, host: str, port: int, place: Place) -> None:
    """Open everything, serve, and close everything in the opposite order."""
    with ExitStack() as stack:
        journal = stack.enter_context(closing(open_journal(settings)))
        stores = open_stores(settings)
        stack.callback(stores.close)
        late = open_late_answers(settings, stores)
        stack.callback(late.close)
        routing = routing_or_none(settings, stores, journal, place.owner)
        if routing is not None:
            stack.callback(routing.close)
            stores.runs().free_deliveries(place.owner)  # what its predecessor had in hand when it died
            preload_all()
        enrich = None if routing is None else enrich_or_none(settings, stores, routing)
        if enrich is not None:
            stack.callback(enrich.close)
        make_quick()
        serve(build_app(settings, journal, stores, late, routing, enrich, place), host, port, place.listener)


def run_workers(count: int, host: str, port: int, *, json_logs: bool) -> None:
    """Serve with several processes until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    command = [sys.executable, "-m", "enrichment_dagster.gateway.main", "--workers", str(count)]
    with listen(host, port) as shared:
        address, taken = shared.getsockname()[:2]
        click.echo(f"gateway ready on http://{address}:{taken}")  # who comes early waits in the socket's line
        workers = Workers([*command, *(["--json-logs"] if json_logs else [])], count, _log.warning)
        workers.run(shared, stop)
    _log.info("gateway stopped")


def routing_or_none(settings: Settings, stores: Stores, journal: SqlJournal, owner: str) -> RoutingService | None:
    """Return the routing lane; None where it is not configured, or can't work. Events are taken in all the same."""
    try:
        return open_routing(settings, stores, journal, owner)
    except ConfigurationError as error:
        _log.error("no leads are routed; they take the standard lane", problems=error.problems)
        return None


def enrich_or_none(settings: Settings, stores: Stores, routing: RoutingService) -> EnrichService | None:
    """Return the API; None where it is not configured, or nobody has a key. Events are taken in all the same."""
    try:
        return open_enrich(settings, stores, routing.lane)
    except ConfigurationError as error:
        _log.error("requests to /enrich are not answered", problems=error.problems)
        return None


def build_app(
    settings: Settings,
    journal: SqlJournal,
    stores: Stores,
    late: LateService,
    routing: RoutingService | None = None,
    enrich: EnrichService | None = None,
    place: Place | None = None,
) -> FastAPI:
    """Wire the application."""
    clock, place, seats = stores.clock, place or Place(), settings.home / "gateway"
    tasks = housekeeping(settings, stores)
    if late.lookups:
        tasks.append(poll_late_answers(late.answers, clock, late.aclose))
    if enrich is not None:
        tasks.extend(enrich.background)
    background = [in_one_process(seats / "housekeeping.lock", tasks, clock), hold_seat(seats, place.number, clock)]
    refused = RefusalCounts()
    background.append(every(_REFUSALS_SECONDS, "refusals", lambda: note_refusals(refused, stores.dispatch()), clock))
    if routing is not None:
        background.append(route_leads(routing.lane, clock, _share(stores), routing.aclose))
    checks = {
        "journal": journal_check(journal),
        "ops": ops_check(stores.ops, clock),
        "workers": workers_check(seats, place.of),
    }
    return create_app(
        GatewayDeps(
            senders=build_senders(settings),
            journal=journal,
            clock=clock,
            limits=Limits(max_body_bytes=settings.config.intake.max_body_bytes),
            checks=checks,
            background=background,
            late=late.answers if late.lookups else None,
            routing=None if routing is None else routing.lane,
            enrich=None if enrich is None else enrich.deps,
            refused=refused,
            visitors=KnownVisitors(journal, settings.config.triggers()),
        )
    )


def note_refusals(refused: RefusalCounts, dispatch: DispatchPort) -> None:
    """Note whom this process has refused since the last look; of several processes the last one to do so is told of."""
    for sender, reasons in refused.take().items():
        dispatch.beat(f"{REFUSED}{sender}", **reasons)


def housekeeping(settings: Settings, stores: Stores) -> list[Background]:
    """Return what runs beside the requests. Checks are reported only where there is a Dagster instance."""
    clock, dispatch, health = stores.clock, stores.dispatch(), stores.health()
    tasks = [
        every(PUMP_SECONDS, "pump", dispatch.pump, clock),
        every(CHECK_SECONDS, "watch_daemon", watch_daemon(lambda: newest_tick(stores.ops), clock), clock),
    ]
    if _reports():
        dagster, loops = LateReporter(), stores.loops()
        evaluator = Evaluator(health, with_lane(settings.config.event_types), clock)
        checks = CheckReporter(
            lambda: {**evaluator.evaluate_all(), WRITEBACK: evaluate_writeback(loops)},
            dagster.report,
            clock,
            lambda lane: dispatch.last_beat(f"fresh:{lane}"),
            {lane.event_type: lane.freshness / 5 for lane in LANES},
        )

        def report_routing(counts: RoutingCounts) -> None:
            for lane in dagster.report_routing(counts):
                dispatch.beat(f"fresh:{lane}")  # Dagster shows no check that is older than its asset's last report

        routing = RoutingReporter(RoutingTally(stores.ops, clock).take, report_routing, clock)
        tasks.append(every(CHECK_SECONDS, "checks", checks.step, clock))
        tasks.append(every(CHECK_SECONDS, "routing_report", routing.step, clock))
    return tasks


def _reports() -> bool:
    return bool(os.environ.get("DAGSTER_HOME"))


def _share(stores: Stores) -> Callable[[RoutingCounts], None]:
    """Return what adds one process's counts to those of all; without Dagster nobody reports them."""
    return RoutingTally(stores.ops, stores.clock).add if _reports() else lambda _counts: None


class LateReporter:
    """Opens the Dagster instance at the first report: importing Dagster takes longer than the gateway's own start."""

    def __init__(self) -> None:
        self._reporter: DagsterReporter | None = None

    def report(self, lane: str, verdict: Verdict) -> None:
        """Report a verdict."""
        self._opened().report(lane, verdict)

    def report_routing(self, counts: RoutingCounts) -> list[str]:
        """Report what was routed; returns the lanes that it was reported of."""
        return self._opened().report_routing(counts)

    def _opened(self) -> DagsterReporter:
        if self._reporter is None:
            from enrichment_dagster.reporting import DagsterReporter

            self._reporter = DagsterReporter()
        return self._reporter


def serve(app: FastAPI, host: str, port: int, listener: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first.

    ``listener`` is the file number of a socket that several processes share.
    """
    config = uvicorn.Config(
        app,
        host,
        port,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        proxy_headers=False,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=SILENT_SECONDS,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    # uvicorn raises the signal again once it has shut down; without handlers that would end the process before the
    # journal is closed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    if listener is None:
        GatewayServer(config).run()
    else:
        uvicorn.Server(config).run([socket.socket(fileno=listener)])
    _log.info("gateway stopped")


if __name__ == "__main__":
    main()
