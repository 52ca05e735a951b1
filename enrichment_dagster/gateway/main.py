"""Composition root of the gateway process: ``python -m enrichment_dagster.gateway.main``."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack, closing

import click
import structlog
import uvicorn
from fastapi import FastAPI

from assets.lanes import with_lane
from enrichment_dagster.composition import LateService, Stores, open_late_answers, open_stores
from enrichment_dagster.errors import EnrichmentError
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.checks import journal_check, newest_tick, ops_check
from enrichment_dagster.gateway.deps import Background, GatewayDeps, Limits
from enrichment_dagster.gateway.housekeeping import (
    CHECK_SECONDS,
    PUMP_SECONDS,
    CheckReporter,
    Report,
    every,
    watch_daemon,
)
from enrichment_dagster.gateway.polling import poll_late_answers
from enrichment_dagster.intake.registry import build_senders
from enrichment_dagster.logs import configure_logging
from enrichment_dagster.masking import known_secrets
from enrichment_dagster.monitoring.checks import Verdict
from enrichment_dagster.settings import Settings, load_settings
from enrichment_dagster.store.journal import SqlJournal, open_journal
from enrichment_dagster.verdicts import CHECKS, evaluate

_GRACEFUL_SECONDS = 10
_KEEP_ALIVE_SECONDS = 75  # longer than the pause between two deliveries of a busy sender
_MAX_CONNECTIONS = 1_000

_log = structlog.get_logger(__name__)


class GatewayServer(uvicorn.Server):
    """Says in one line on standard output where it listens, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port and say so."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            click.echo(f"gateway ready on http://{host}:{port}")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option("--json-logs", is_flag=True, help="Log lines as JSON.")
def main(host: str, port: int, json_logs: bool) -> None:
    """Receive webhooks and record them durably before answering."""
    try:
        settings = load_settings()
        configure_logging("gateway", json_logs, known_secrets(settings))
        with ExitStack() as stack:
            journal = stack.enter_context(closing(open_journal(settings)))
            stores = open_stores(settings)
            stack.callback(stores.close)
            late = open_late_answers(settings, stores)
            stack.callback(late.close)
            serve(build_app(settings, journal, stores, late), host, port)
    except EnrichmentError as error:
        raise click.ClickException(str(error)) from error


def build_app(settings: Settings, journal: SqlJournal, stores: Stores, late: LateService) -> FastAPI:
    """Wire the application."""
    clock = stores.clock
    background = housekeeping(settings, stores)
    if late.lookups:
        background.append(poll_late_answers(late.answers, clock, late.aclose))
    checks = {"journal": journal_check(journal), "ops": ops_check(stores.ops, clock)}
    return create_app(
        GatewayDeps(
            senders=build_senders(settings),
            journal=journal,
            clock=clock,
            limits=Limits(max_body_bytes=settings.config.intake.max_body_bytes),
            checks=checks,
            background=background,
            late=late.answers if late.lookups else None,
        )
    )


def housekeeping(settings: Settings, stores: Stores) -> list[Background]:
    """Return what runs beside the requests. Checks are reported only where there is a Dagster instance."""
    clock, dispatch, health = stores.clock, stores.dispatch(), stores.health()
    tasks = [
        every(PUMP_SECONDS, "pump", dispatch.pump, clock),
        every(CHECK_SECONDS, "watch_daemon", watch_daemon(lambda: newest_tick(stores.ops), clock), clock),
    ]
    if os.environ.get("DAGSTER_HOME"):

        def evaluate_all() -> dict[str, list[Verdict]]:
            types = with_lane(settings.config.event_types)
            return {name: evaluate(health, name, config, list(CHECKS), clock.now()) for name, config in types.items()}

        reporter = CheckReporter(
            evaluate_all, LateReporter().report, clock, lambda event_type: dispatch.last_beat(f"fresh:{event_type}")
        )
        tasks.append(every(CHECK_SECONDS, "checks", reporter.step, clock))
    return tasks


class LateReporter:
    """Opens the Dagster instance at the first report: importing Dagster takes longer than the gateway's own start."""

    def __init__(self) -> None:
        self._report: Report | None = None

    def report(self, event_type: str, verdict: Verdict) -> None:
        """Report a verdict."""
        if self._report is None:
            from enrichment_dagster.reporting import DagsterReporter

            self._report = DagsterReporter().report
        self._report(event_type, verdict)


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first."""
    config = uvicorn.Config(
        app,
        host,
        port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    # uvicorn raises the signal again once it has shut down; without handlers that would end the process before the
    # journal is closed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    GatewayServer(config).run()
    _log.info("gateway stopped")


if __name__ == "__main__":
    main()
