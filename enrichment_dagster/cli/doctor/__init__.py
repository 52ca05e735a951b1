"""``enrichment doctor``: is everything as it must be, and if not, what to do."""

from __future__ import annotations

from collections.abc import Iterator

import click

from enrichment_dagster.cli.command import NOT_MET, command
from enrichment_dagster.cli.doctor.finding import Finding, Level
from enrichment_dagster.cli.output import clean, make_console, print_json

_STYLES = {Level.OK: "green", Level.HINT: "cyan", Level.WARN: "yellow", Level.FAIL: "red"}


@command("doctor", not_met="something fails; each such line says what to do", wrong_use="wrong usage")
@click.option("--online", is_flag=True, help="Connect to providers and CRMs too; asks nothing, spends nothing.")
def doctor(*, online: bool, as_json: bool) -> None:
    """Check the installation, the configuration, secrets, ports, disk and stores, and say what to do."""
    findings: list[Finding] = []
    for finding in _findings(online=online):
        findings.append(finding)
        if not as_json:
            _show(finding)
    failed = any(finding.level is Level.FAIL for finding in findings)
    if as_json:
        print_json({"healthy": not failed, "checks": [finding.as_json() for finding in findings]})
    else:
        _sum_up(findings)
    if failed:
        raise click.exceptions.Exit(NOT_MET)


def _findings(*, online: bool) -> Iterator[Finding]:
    from enrichment_dagster.cli.doctor.configuration import check_configuration, config_problems
    from enrichment_dagster.cli.doctor.installation import check_installation
    from enrichment_dagster.cli.doctor.machine import check_home, check_ports
    from enrichment_dagster.cli.doctor.online import check_online
    from enrichment_dagster.cli.doctor.plans import check_plans
    from enrichment_dagster.cli.doctor.stores import check_stores
    from enrichment_dagster.cli.lookups import load_checked
    from enrichment_dagster.errors import ConfigurationError

    yield from check_installation()
    yield from check_ports()
    try:
        settings = load_checked()
    except ConfigurationError as error:
        yield from config_problems(error)
        return
    yield from check_configuration(settings)
    yield from check_plans(settings)
    yield from check_home(settings)
    yield from check_stores(settings)
    if online:
        yield from check_online(settings)


def _show(finding: Finding) -> None:
    from rich.text import Text

    line = Text(f"{finding.level:<5}", style=_STYLES[finding.level])
    line.append(clean(f"{finding.check}: {finding.found}"), style="default")
    for todo in finding.todo.splitlines():
        line.append(clean(f"\n      -> {todo}"), style="bold")
    make_console().print(line)


def _sum_up(findings: list[Finding]) -> None:
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    make_console().print(", ".join(f"{count} {level}" for level, count in counts.items()))
