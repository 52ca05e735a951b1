"""The senders of this product, one line each, built from the settings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.intake.hubspot import HubSpot
from enrichment_dagster.intake.hubspot_signature import SignatureV3, signed_url
from enrichment_dagster.intake.salesforce_flow import SalesforceFlow
from enrichment_dagster.intake.sender import Sender
from enrichment_dagster.settings import Settings


def build_senders(settings: Settings) -> list[Sender]:
    """Return every configured sender.

    Raises:
        ConfigurationError: senders without a secret; lists all of them.
    """
    intake, senders, problems = settings.config.intake, list[Sender](), list[str]()
    triggers = settings.config.triggers()
    if hubspot := intake.hubspot:
        secrets = _secrets(settings, "intake.hubspot", hubspot.client_secret_envs, problems)
        url = signed_url(settings.public_url(HubSpot.path, hubspot.public_url))
        signature = SignatureV3(secrets, url.encode(), timedelta(seconds=hubspot.tolerance_seconds))
        senders.append(HubSpot(signature, triggers))
    if flow := intake.salesforce_flow:
        secrets = _secrets(settings, "intake.salesforce_flow", flow.secret_envs, problems)
        senders.append(SalesforceFlow(secrets, flow.header, flow.org, triggers))
    if problems:
        raise ConfigurationError(problems)
    return senders


def _secrets(settings: Settings, place: str, names: Sequence[str], problems: list[str]) -> tuple[bytes, ...]:
    found = [secret.get_secret_value().encode() for name in names if (secret := settings.secret(name))]
    if not found:
        problems.append(f"set the environment variable {' or '.join(names)} ({place} needs it)")
    return tuple(found)
