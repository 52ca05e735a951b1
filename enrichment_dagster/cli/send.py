"""``enrichment send``: an event to the gateway, as its sender would send it."""

from __future__ import annotations

import os
import secrets
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

import click

from enrichment_dagster.cli.command import NOT_MET, command
from enrichment_dagster.cli.delivery import make_delivery, sender_name, sender_of
from enrichment_dagster.cli.output import clean, make_console, print_json
from enrichment_dagster.cli.payloads import SAMPLES, About, sample_body
from enrichment_dagster.cli.post import Answer, checked_url, post
from enrichment_dagster.cli.reading import open_existing
from enrichment_dagster.cli.words import seconds_text
from enrichment_dagster.intake.salesforce_id import long_id
from enrichment_dagster.settings import HOME_VARIABLE, PUBLIC_URL_VARIABLE, Settings, load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from enrichment_dagster.composition import Stores

URL_VARIABLE = "ENRICHMENT_GATEWAY_URL"
_DEMO_HOME = ".enrichment/demo"
_PORTAL = 62515
_EVENT_NUMBERS = 9 * 10**9


@command(
    "send",
    not_met="refused, nobody answers, or (with --wait) not at its end in time",
    examples=(
        "enrichment send --hubspot-contact 1246978 --wait 60",
        "enrichment send --salesforce-lead 00Q5f000001abcDEAQ --email jane@acme.com --company Acme",
        "enrichment send --file payload.json",
        "enrichment send --sender sendgrid --email jane@acme.com --sandbox",
        "enrichment send --sync --email jane@acme.com --company Acme",
    ),
)
@click.option("--file", "source", type=click.File("rb"), help="A sender's body, sent as it is; - reads standard input.")
@click.option(
    "--sender",
    "--as",
    "sender",
    type=click.Choice([*SAMPLES, "salesforce"]),
    metavar="NAME",
    help=f"Whose body the file is; without a file, whose sample to send: {', '.join(SAMPLES)}.",
)
@click.option("--hubspot-contact", type=click.IntRange(min=1), metavar="ID", help="A contact that was created.")
@click.option("--portal", type=click.IntRange(min=1), default=_PORTAL, show_default=True, help="HubSpot's account.")
@click.option("--salesforce-lead", metavar="ID", help="A lead that was created (15 or 18 characters).")
@click.option("--email", default="", help="The lead's address.")
@click.option("--company", default="", help="The lead's company.")
@click.option("--domain", default="", help="The company's domain.")
@click.option("--phone", default="", help="A number that does not exist any more (with --sender twilio).")
@click.option("--sandbox", is_flag=True, help="Sign with the keys of `enrichment demo`.")
@click.option("--sync", is_flag=True, help="Ask POST /enrich and show its answer; the key is in ENRICH_API_KEY.")
@click.option(
    "--url",
    envvar=URL_VARIABLE,
    default="http://127.0.0.1:8080",
    show_default=True,
    show_envvar=True,
    help="The gateway.",
)
@click.option(
    "--wait", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait until the events are delivered or ended."
)
def send(
    *, sender: str | None, sync: bool, sandbox: bool, url: str, wait: float | None, as_json: bool, **what: Any
) -> None:
    """Send an event to a running gateway, signed as its sender would sign it.

    The secret comes from the environment variable that the configuration names.
    """
    checked_url(url)
    settings = _settings(url, sandbox=sandbox)
    if sync:
        from enrichment_dagster.cli.send_sync import ask

        ask(settings, url, what, as_json=as_json)
        return
    now = datetime.now(UTC)
    found, body = _body(what, sender, now)
    delivery = make_delivery(settings, found, body, round(now.timestamp() * 1_000))
    # The store is opened first: an event must not be sent and then not be waited for.
    with nullcontext() if wait is None else open_existing(settings) as stores:
        answer = post(url, delivery)
        journeys = None if stores is None or answer.refusal else _wait(stores, answer, wait or 0.0)
    if as_json:
        print_json(
            {"status": answer.status, "refusal": answer.refusal, "answer": dict(answer.body), "journeys": journeys}
        )
    else:
        _show(answer, journeys)
    if answer.refusal or not all(journey["ended"] for journey in journeys or ()):
        raise click.exceptions.Exit(NOT_MET)


def _settings(url: str, *, sandbox: bool) -> Settings:
    if not sandbox:
        return load_settings()
    from enrichment_dagster.supervise.environment import Ports, sandbox_variables

    # A demo's public URL is where its gateway listens.
    keys = {**sandbox_variables(Ports()), PUBLIC_URL_VARIABLE: url.rstrip("/")}
    return load_settings({HOME_VARIABLE: _DEMO_HOME, **os.environ, **keys})


def _body(what: dict[str, Any], sender: str | None, now: datetime) -> tuple[str, bytes]:
    """Return whose body is to be sent, and the body."""
    source: IO[bytes] | None = what["source"]
    contact: int | None = what["hubspot_contact"]
    lead: str | None = what["salesforce_lead"]
    name = None if sender is None else sender_name(sender)
    if name is None and sum(item is not None for item in (source, contact, lead)) != 1:
        raise click.UsageError("say what to send: one of --file, --hubspot-contact, --salesforce-lead and --sender")
    if source is not None:
        body = source.read()
        return name or sender_of(body), body
    if lead is not None and long_id(lead) is None:
        raise click.UsageError(f"{lead} is no Salesforce id: 15 or 18 letters and digits, such as 00Q5f000001abcDEAQ")
    if name is None:
        name = "hubspot" if contact is not None else "salesforce_flow"
        if contact is None and not what["email"]:
            raise click.UsageError("--salesforce-lead needs --email: Flow sends it along")
    return name, sample_body(name, _about(what, now))


def _about(what: dict[str, Any], now: datetime) -> About:
    names = {"hubspot_contact": "contact", "salesforce_lead": "lead"}
    said = ("email", "company", "domain", "phone", "portal", *names)
    given = {names.get(name, name): what[name] for name in said if what[name]}
    return About(now, 10**9 + secrets.randbelow(_EVENT_NUMBERS), **given)


def _wait(stores: Stores, answer: Answer, seconds: float) -> list[dict[str, Any]]:
    from enrichment_dagster.cli.waiting import wait_for
    from enrichment_dagster.store.explain import ExplainStore

    return wait_for(ExplainStore(stores.journal, stores.ops), answer.event_ids, seconds)


def _show(answer: Answer, journeys: list[dict[str, Any]] | None) -> None:
    console = make_console()
    if answer.refusal:
        console.print(clean(f"refused ({answer.status}): {answer.refusal}"), style="red")
        return
    console.print(f"accepted {answer.body.get('accepted', 0)}, known already {answer.body.get('duplicates', 0)}")
    for journey in journeys or ():
        _show_journey(console, journey)
    for event_id in answer.event_ids:
        console.print(clean(f"enrichment explain {event_id}"))


def _show_journey(console: Console, journey: dict[str, Any]) -> None:
    if not journey["ended"]:
        unknown = f"not in this store; does the gateway use another {HOME_VARIABLE}?"
        state = unknown if journey["state"] == "unknown" else f"not at its end: {journey['state']}"
        console.print(clean(f"{journey['event_id']} is {state}"), style="yellow")
        return
    outcome = ": ".join(part for part in (journey["outcome"], journey["reason"]) if part)
    hops = ", ".join(f"{name.replace('_', ' ')} {seconds_text(seconds)}" for name, seconds in journey["hops"].items())
    missing = f", missing {', '.join(journey['missing'])}" if journey["missing"] else ""
    console.print(f"{journey['event_id']} {outcome} after {seconds_text(journey['seconds'])} ({hops})")
    crm = ", ".join(journey["crm"]) or "nothing to write"
    console.print(f"  {journey['fields']} fields found{missing}; CRM: {crm}; cost ${journey['cost_usd']:.3f}")
