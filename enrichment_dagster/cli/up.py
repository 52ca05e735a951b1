"""``enrichment up``: start everything, keep it running, stop it cleanly."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from enrichment_dagster.cli.command import command
from enrichment_dagster.cli.lookups import load_checked
from enrichment_dagster.cli.output import print_json
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.settings import CONFIG_VARIABLE, HOME_VARIABLE, missing_secrets
from enrichment_dagster.supervise.environment import Ports, sandbox_variables
from enrichment_dagster.supervise.supervisor import Interrupted, Supervisor

_PORTS = Ports()
_FIRST_QUERY = "SELECT email, title, company_domain FROM contacts"


def port_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where processes listen."""
    for name in ("sandbox", "code-server", "webserver", "gateway"):
        default = getattr(_PORTS, name.replace("-", "_"))
        function = click.option(f"--{name}-port", default=default, show_default=True, help=f"Port of the {name}.")(
            function
        )
    return click.option("--host", default=_PORTS.host, show_default=True, help="Address that all listen on.")(function)


def ports_of(options: Mapping[str, Any]) -> Ports:
    """Return the ports that the options name."""
    return Ports(
        host=options["host"],
        gateway=options["gateway_port"],
        webserver=options["webserver_port"],
        code_server=options["code_server_port"],
        sandbox=options["sandbox_port"],
    )


def build_supervisor(
    ports: Ports,
    *,
    sandbox: bool,
    tell: Callable[[str], None],
    environ: Mapping[str, str] | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    workers: int = 1,
) -> Supervisor:
    """Return a supervisor of this installation; ``interrupted`` says whether to give up the start.

    ``workers`` is the number of processes that the gateway has.

    Raises:
        ConfigurationError: the configuration is wrong, or (without the sandbox) a secret is missing.
    """
    env = dict(os.environ if environ is None else environ)
    variables = sandbox_variables(ports) if sandbox else {}
    settings = load_checked({**env, **variables})
    if missing := missing_secrets(settings):
        raise ConfigurationError([*missing, "or try everything without keys: enrichment up --sandbox"])
    variables.update({CONFIG_VARIABLE: str(settings.config_path), HOME_VARIABLE: str(settings.home)})
    return Supervisor(
        home=settings.home,
        project=Path(settings.config_path).parent,
        ports=ports,
        variables=variables,
        sandbox=sandbox,
        tell=tell,
        interrupted=interrupted,
        workers=workers,
    )


def stop_signal() -> threading.Event:
    """Return an event that Ctrl-C, SIGTERM or a closed terminal sets."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


@command(
    "up",
    not_met="it runs in this home already, or a process did not become ready",
    examples=["enrichment up --sandbox", "enrichment up --gateway-port 9000"],
)
@click.option("--sandbox", is_flag=True, help="Use the shipped emulators instead of real vendors and CRMs.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes of the gateway.")
@port_options
def up(sandbox: bool, workers: int, as_json: bool, **options: Any) -> None:
    """Start the gateway, Dagster's daemon, webserver and code server, and supervise them until Ctrl-C."""
    ports = ports_of(options)

    def tell(message: str) -> None:
        if not as_json:
            click.echo(message)

    stop = stop_signal()
    supervisor = build_supervisor(ports, sandbox=sandbox, tell=tell, interrupted=stop.is_set, workers=workers)
    with suppress(Interrupted), supervisor.running():
        if as_json:
            print_json(addresses(supervisor))
        else:
            for name, value in addresses(supervisor).items():
                click.echo(f"{name:>10}  {value}")
            click.echo("Ctrl-C stops everything.")
        supervisor.watch(stop.is_set)
        tell("stopping ...")
    tell("stopped")


def addresses(supervisor: Supervisor) -> dict[str, str]:
    """Return where to look and what to type, each as it works in a second terminal."""
    us = f"{HOME_VARIABLE}={shlex.quote(_near(supervisor.home))} {_program()}"
    return {
        "dagster": supervisor.ports.webserver_url,
        "gateway": supervisor.ports.gateway_url,
        "state": f"{us} status",
        "tables": f"{us} sql {shlex.quote(_FIRST_QUERY)}",
        "one lead": f"{us} explain evt_...",
        "logs": str(supervisor.home / "logs"),
    }


def _program() -> str:
    """Return what to type for this command: its name where the path finds it, else the place that it was called by."""
    called = Path(sys.argv[0])
    found = shutil.which(called.name)
    return called.name if found and Path(found) == called.absolute() else shlex.quote(_near(called))


def _near(path: Path) -> str:
    """Return a path as short as it works from here."""
    full, here = path.absolute(), Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(full)
