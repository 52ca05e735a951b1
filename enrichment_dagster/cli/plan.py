"""``enrichment plan``: whom an event type would ask, in which order, and what that may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from enrichment_dagster.cli.command import Failure, WrongUse, command
from enrichment_dagster.cli.lookups import load_checked
from enrichment_dagster.cli.output import make_console, print_json
from enrichment_dagster.settings import Settings

if TYPE_CHECKING:
    from enrichment_dagster.domain.config import PlanConfig
    from enrichment_dagster.engine.protection import Standing

_LANES = ("standard", "routing")


@command(
    "plan",
    wrong_use="wrong usage (no such event type or lane) or configuration",
    examples=("enrichment plan", "enrichment plan lead_created --lane routing"),
)
@click.argument("event_type", metavar="[TYPE]", required=False)
@click.option("--lane", type=click.Choice(_LANES), default=_LANES[0], show_default=True, help="Which of its plans.")
def plan(*, event_type: str | None, lane: str, as_json: bool) -> None:
    """Show the waterfall that an event of TYPE would run; without TYPE, list the types.

    Needs no keys and asks nobody. What was observed of the providers (latencies, who is demoted) counts if this
    installation has a store.
    """
    settings = load_checked()
    if event_type is None:
        _list(settings, as_json=as_json)
    else:
        _show(settings, event_type, lane, as_json=as_json)


def _list(settings: Settings, *, as_json: bool) -> None:
    from enrichment_dagster.cli.plan_report import build_plans

    report = build_plans(settings.config)
    if as_json:
        print_json(report)
        return
    from enrichment_dagster.cli.plan_view import plans_view

    make_console().print(plans_view(report))


def _show(settings: Settings, event_type: str, lane: str, *, as_json: bool) -> None:
    from enrichment_dagster.cli.lookups import offered_lookups
    from enrichment_dagster.cli.plan_report import build_plan

    chosen = _plan(settings, event_type, lane)
    report = build_plan(event_type, lane, chosen, offered_lookups(settings), _observed(settings))
    if as_json:
        print_json(report)
        return
    from enrichment_dagster.cli.plan_view import plan_view

    console = make_console()
    console.print(plan_view(report))
    for other in settings.config.event_types[event_type].lanes.by_name:
        if other != lane:
            console.print(f"Its {other} lane: enrichment plan {event_type} --lane {other}")


def _plan(settings: Settings, event_type: str, lane: str) -> PlanConfig:
    types = settings.config.event_types
    if event_type not in types:
        raise WrongUse("unknown_event_type", f"no event type is called {event_type}; known are {', '.join(types)}")
    found = types[event_type].lanes.by_name.get(lane)
    if found is None:
        raise WrongUse("no_such_lane", f"{event_type} has no {lane} lane: add event_types.{event_type}.lanes.{lane}")
    return found


def _observed(settings: Settings) -> dict[str, Standing] | None:
    """Return how the providers do, or None where no store tells."""
    from enrichment_dagster.cli.reading import open_existing
    from enrichment_dagster.cli.standings import build_standings

    try:
        with open_existing(settings) as stores:
            states = stores.health().provider_states()
            return build_standings(settings.config, states, stores.clock.now().timestamp())
    except Failure:
        return None
