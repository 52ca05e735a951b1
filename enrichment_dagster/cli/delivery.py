"""What ``enrichment send`` is about to post: which sender it plays, body, headers, path."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import click

from enrichment_dagster.cli.signing import flow_headers, hubspot_headers
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.intake.hubspot import HubSpot
from enrichment_dagster.intake.salesforce_flow import SalesforceFlow
from enrichment_dagster.settings import Settings

Sender = Literal["hubspot", "salesforce"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request to the gateway."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(repr=False)


def sender_of(body: bytes) -> Sender:
    """Say whose body this is: HubSpot posts an array, Flow an object.

    Raises:
        click.UsageError: it is neither.
    """
    try:
        value = json.loads(body)
    except ValueError as error:
        raise click.UsageError(
            f"the file is not JSON ({error}); say with --as whose body it is to send it anyway"
        ) from error
    if isinstance(value, list):
        return "hubspot"
    if isinstance(value, dict):
        return "salesforce"
    raise click.UsageError("HubSpot posts a JSON array, Salesforce Flow an object; say with --as whose body it is")


def make_delivery(settings: Settings, sender: Sender, body: bytes, now_ms: int) -> Delivery:
    """Sign a body as its sender would.

    Raises:
        ConfigurationError: the sender is not configured, or its secret is not in the environment.
    """
    intake = settings.config.intake
    if sender == "hubspot":
        if intake.hubspot is None:
            raise ConfigurationError(["intake.hubspot: not configured, so the gateway does not take its events"])
        secret = _secret(settings, "intake.hubspot", intake.hubspot.client_secret_envs)
        url = settings.public_url(HubSpot.path, intake.hubspot.public_url)
        return Delivery(HubSpot.path, body, hubspot_headers(secret, url, body, now_ms))
    flow = intake.salesforce_flow
    if flow is None:
        raise ConfigurationError(["intake.salesforce_flow: not configured, so the gateway does not take its events"])
    return Delivery(
        SalesforceFlow.path,
        body,
        flow_headers(_secret(settings, "intake.salesforce_flow", flow.secret_envs), flow.header),
    )


def _secret(settings: Settings, place: str, names: Sequence[str]) -> str:
    """Return the first of the secrets that is set (there are two while one is rotated)."""
    found = next((secret for name in names if (secret := settings.secret(name))), None)
    if found is None:
        raise ConfigurationError([f"set the environment variable {' or '.join(names)} ({place} needs it)"])
    return found.get_secret_value()
