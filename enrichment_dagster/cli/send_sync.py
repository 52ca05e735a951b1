"""``enrichment send --sync``: ask ``POST /enrich`` for one lead and show what it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from enrichment_dagster.cli.command import NOT_MET
from enrichment_dagster.cli.delivery import Delivery
from enrichment_dagster.cli.output import add_row, clean, make_console, make_table, print_json
from enrichment_dagster.cli.post import Answer, post
from enrichment_dagster.cli.words import dollars
from enrichment_dagster.settings import Settings

KEY_VARIABLE = "ENRICH_API_KEY"
_PATH = "/enrich"
_STYLES = {"enriched": "green", "cached": "green", "partial": "yellow"}


def ask(settings: Settings, url: str, given: Mapping[str, Any], *, as_json: bool) -> None:
    """Ask and print; ends with 1 where there is no answer, or the lead's enrichment failed.

    Raises:
        click.UsageError: there is nothing to ask by, or no key.
    """
    key = settings.secret(KEY_VARIABLE)
    if key is None:
        raise click.UsageError(f"--sync needs a caller's key in {KEY_VARIABLE}, or --sandbox for `enrichment demo`")
    headers = {"content-type": "application/json", "authorization": f"Bearer {key.get_secret_value()}"}
    answer = post(url, Delivery(_PATH, json.dumps(_body(given)).encode(), headers))
    if as_json:
        print_json({"status": answer.status, "refusal": answer.refusal, "answer": dict(answer.body)})
    else:
        _show(answer)
    if answer.refusal or answer.body.get("status") == "failed":
        raise click.exceptions.Exit(NOT_MET)


def _body(given: Mapping[str, Any]) -> dict[str, Any]:
    contact, lead = given["hubspot_contact"], given["salesforce_lead"]
    if given["source"] is not None or (contact is not None and lead is not None):
        raise click.UsageError("--sync goes with --email, --domain, --company and at most one record")
    if not given["email"] and not given["domain"]:
        raise click.UsageError("--sync needs --email, or at least --domain")
    body = {name: given[name] for name in ("email", "domain", "company") if given[name]}
    if contact is not None:
        return {**body, "source_system": "hubspot", "source_id": str(contact)}
    return {**body, "source_system": "salesforce", "source_id": lead} if lead is not None else body


def _show(answer: Answer) -> None:
    console = make_console()
    if answer.refusal:
        console.print(clean(f"refused ({answer.status}): {answer.refusal}"), style="red")
        return
    found = answer.body
    reason = f": {found['reason']}" if found["reason"] else ""
    took = f"in {found['latency_ms']:.0f} ms, cost {dollars(found['cost_usd'])}"
    console.print(clean(f"{found['status']}{reason} {took}"), style=_STYLES.get(found["status"], ""))
    table = make_table("", "field", "value", "provider")
    for name, value in found["data"].items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        add_row(table, name, shown, found["provenance"][name]["provider"])
    for name, why in found["missing_fields"].items():
        add_row(table, name, f"missing: {why}", "", style="dim")
    if table.row_count:
        console.print(table)
    routing = found["routing"]
    console.print(clean(f"segment {routing['segment']}, score {routing['score']}, route {routing['route']}"))
    for line in routing["reasons"]:
        console.print(clean(f"  {line}"))
    console.print(clean(f"enrichment explain {found['event_id']}"))
