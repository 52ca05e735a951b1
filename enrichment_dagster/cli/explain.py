"""``enrichment explain``: what happened to one event, and why."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from enrichment_dagster.cli.command import Failure, WrongUse, command
from enrichment_dagster.cli.output import make_console, print_json
from enrichment_dagster.cli.reading import open_existing
from enrichment_dagster.settings import load_settings

if TYPE_CHECKING:
    from enrichment_dagster.composition import Stores
    from enrichment_dagster.domain.config import EnrichmentConfig
    from enrichment_dagster.store.explain import ExplainStore
    from enrichment_dagster.store.story import Mention

_EVENT = "evt_"
_BARE_PREFIX = re.compile(r"[0-9a-f]{4,24}")
_RECORD_PARTS = 3


@command(
    "explain",
    not_met="nothing is known under this id, or there is no store yet",
    wrong_use="wrong usage (several events begin like this) or configuration",
)
@click.argument("what")
@click.option("--no-values", is_flag=True, help="Hide what is known of people; provenance, reasons and costs stay.")
def explain(*, what: str, no_values: bool, as_json: bool) -> None:
    """Show the journey of one event: hops, calls, fields, reasons, CRM writes.

    WHAT is an event id or the unique beginning of one, a work id (evt_.../gap-1), or a record, as
    hubspot:contact:1246978 or by its id alone. A record that has several events lists them; with --json it always does.

    Values of people are shown unless --no-values is given.
    """
    settings = load_settings()
    with open_existing(settings) as stores:
        store = _explain_store(stores)
        name = what.strip()
        mentions = _record_events(store, name)
        if mentions is None:
            _tell(settings.config, store, _one_event(store, name), values=not no_values, as_json=as_json)
        elif len({mention.event_id for mention in mentions}) == 1 and not as_json:  # scripts get a list, however long
            _tell(settings.config, store, mentions[0].event_id, values=not no_values, as_json=False)
        else:
            _list(name, mentions, as_json=as_json)


def _explain_store(stores: Stores) -> ExplainStore:
    from enrichment_dagster.store.explain import ExplainStore

    return ExplainStore(stores.journal, stores.ops)


def _record_events(store: ExplainStore, name: str) -> list[Mention] | None:
    """Return the events of a record, or None where the text names an event."""
    if name.lower().startswith(_EVENT):
        return None
    parts = name.split(":", _RECORD_PARTS - 1)
    if len(parts) == _RECORD_PARTS:
        return _of_record(store, parts[2], parts[0], parts[1]) or _nothing(name)
    found = _of_record(store, name)
    if found:
        return found
    return None if _BARE_PREFIX.fullmatch(name.lower()) else _nothing(name)


def _of_record(
    store: ExplainStore, record_id: str, system: str | None = None, object_type: str | None = None
) -> list[Mention]:
    """Find a record's events; a Salesforce id may be the short one of 15 characters."""
    from enrichment_dagster.intake.salesforce_id import long_id

    found = store.of_record(record_id, system, object_type)
    longer = long_id(record_id)
    if found or longer in {None, record_id} or system not in {None, "salesforce"}:
        return found
    return store.of_record(str(longer), system, object_type)


def _one_event(store: ExplainStore, name: str) -> str:
    """Return the id of the event that the text stands for."""
    event_id = name.partition("/")[0].lower()
    prefix = event_id if event_id.startswith(_EVENT) else f"{_EVENT}{event_id}"
    found = sorted({mention.event_id for mention in store.of_prefix(prefix)})
    if not found:
        _nothing(name)
    if len(found) > 1:
        listed = "\n".join(f"  {event_id}" for event_id in found[:10])
        raise WrongUse("ambiguous", f"{len(found)} events begin with {prefix}; give more of it:\n{listed}")
    return found[0]


def _nothing(name: str) -> Any:
    raise Failure(
        "not_found",
        f"nothing is known under {name}. Give an event id (evt_...) or a record (hubspot:contact:123); "
        "`enrichment status` shows whether events come in",
    )


def _tell(config: EnrichmentConfig, store: ExplainStore, event_id: str, *, values: bool, as_json: bool) -> None:
    from enrichment_dagster.cli.plan_report import not_enabled
    from enrichment_dagster.journey.report import build_explanation

    story = store.story(event_id)
    if story is None:
        _nothing(event_id)
        return
    report = build_explanation(story, datetime.now(UTC), values=values)
    asked = [step["lookup"] for step in report["steps"]]
    report["passed_over"] = not_enabled(config, report["event"]["event_type"], asked) if asked else []
    if as_json:
        print_json(report)
        return
    from enrichment_dagster.cli.explain_view import explanation_view

    make_console().print(explanation_view(report))


def _list(name: str, mentions: list[Mention], *, as_json: bool) -> None:
    from enrichment_dagster.journey.report import build_mention

    found = [build_mention(mention) for mention in mentions]
    if as_json:
        print_json({"record": name, "events": found})
        return
    from enrichment_dagster.cli.explain_view import mentions_view

    console = make_console()
    console.print(mentions_view(f"Events of {name}", found))
    console.print(f"One of them in full: enrichment explain {found[0]['event_id']}")
