"""``enrichment suppress``: the list of people, companies and records that are left alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from enrichment_dagster.cli.command import WrongUse, command
from enrichment_dagster.cli.output import add_row, make_console, make_table, print_json
from enrichment_dagster.cli.reading import open_existing
from enrichment_dagster.cli.words import counted, iso
from enrichment_dagster.settings import load_settings

if TYPE_CHECKING:
    from enrichment_dagster.composition import Stores
    from enrichment_dagster.store.memory import SuppressionList

_NEWEST = 100
_RECORD_PARTS = 3


@command(
    "suppress",
    not_met="there is no store yet",
    wrong_use="wrong usage (a subject that can't be read) or configuration",
    examples=(
        'enrichment suppress jane@acme.com --reason "asked to be left alone"',
        "enrichment suppress competitor.example hubspot:contact:1246978",
        "enrichment suppress --remove jane@acme.com",
    ),
)
@click.argument("subjects", nargs=-1, metavar="[SUBJECT]...")
@click.option("--remove", is_flag=True, help="Take them off the list.")
@click.option("--reason", default="", help="Why they are left alone, for whoever reads it later.")
def suppress(*, subjects: tuple[str, ...], remove: bool, reason: str, as_json: bool) -> None:
    """Enrich these subjects no more; without SUBJECT, show the newest entries of the list.

    A SUBJECT is an e-mail address, a company's domain (with all its people), or a record, as hubspot:contact:1246978.
    It takes effect in every process within a second: an event of theirs is recorded as skipped (suppressed), nobody is
    asked about it, and its record is not touched.
    """
    if remove and not subjects:
        raise click.UsageError("--remove needs a SUBJECT")
    if reason and (remove or not subjects):
        raise click.UsageError("--reason goes with a SUBJECT that is added")
    keys = [_key(subject) for subject in subjects]
    with open_existing(load_settings()) as stores:
        listed = _list_of(stores)
        if remove:
            _tell(listed, f"{counted(listed.remove(keys), 'entry', 'entries')} removed", as_json=as_json)
        elif keys:
            listed.add(keys, reason)
            _tell(listed, f"suppressed: {', '.join(keys)}", as_json=as_json)
        else:
            _show(listed, as_json=as_json)


def _key(subject: str) -> str:
    """Return the key under which something is known of a subject."""
    from enrichment_dagster.domain.keys import domain_subject, email_subject
    from enrichment_dagster.domain.normalise import InvalidValueError, normalise_domain, normalise_email

    text = subject.strip()
    parts = text.split(":", _RECORD_PARTS - 1)
    if len(parts) == _RECORD_PARTS and all(parts):
        return text
    try:
        return email_subject(normalise_email(text)) if "@" in text else domain_subject(normalise_domain(text))
    except InvalidValueError:
        example = "jane@acme.com, acme.com or hubspot:contact:1246978"
        raise WrongUse("bad_subject", f"{text} is no address, domain or record; write {example}") from None


def _list_of(stores: Stores) -> SuppressionList:
    from enrichment_dagster.store.memory import SuppressionList

    return SuppressionList(stores.ops, stores.clock)


def _entries(listed: SuppressionList) -> Sequence[dict[str, Any]]:
    newest = listed.newest(_NEWEST)
    return [{"subject": item.subject, "reason": item.reason, "since": iso(item.since)} for item in newest]


def _tell(listed: SuppressionList, message: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"message": message, "newest": _entries(listed)})
    else:
        click.echo(message)


def _show(listed: SuppressionList, *, as_json: bool) -> None:
    entries = _entries(listed)
    if as_json:
        print_json({"newest": entries})
        return
    table = make_table("Left alone, the newest first", "subject", "since (UTC)", "reason")
    for item in entries:
        add_row(table, item["subject"], item["since"], item["reason"])
    make_console().print(table)
