"""The senders of this product, one line each, built from the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from enrichment_dagster.domain.config import SenderConfig
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.intake.bombora import Bombora
from enrichment_dagster.intake.clay import Clay
from enrichment_dagster.intake.cloudevents import CloudEvents
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.g2 import G2
from enrichment_dagster.intake.hubspot import HubSpot
from enrichment_dagster.intake.hubspot_custom_code import HubSpotCustomCode
from enrichment_dagster.intake.hubspot_workflow import HubSpotWorkflow
from enrichment_dagster.intake.linkedin import LinkedIn
from enrichment_dagster.intake.postmark import Postmark
from enrichment_dagster.intake.salesforce_flow import SalesforceFlow
from enrichment_dagster.intake.segment import Segment
from enrichment_dagster.intake.sender import Sender
from enrichment_dagster.intake.sendgrid import SendGrid
from enrichment_dagster.intake.standard_webhooks import StandardWebhooks
from enrichment_dagster.intake.twilio import Twilio
from enrichment_dagster.settings import Settings, waiting_senders


class SenderClass(Protocol):
    """What builds a sender."""

    @property
    def path(self) -> str:
        """Return the path that it posts to."""
        ...

    def build(self, config: Any, door: Door, /) -> Sender:
        """Return the sender.

        Raises:
            ValueError: a secret has not the documented form.
        """
        ...


SENDERS: Mapping[str, SenderClass] = MappingProxyType(
    {
        "hubspot": HubSpot,
        "hubspot_workflow": HubSpotWorkflow,
        "hubspot_custom_code": HubSpotCustomCode,
        "salesforce_flow": SalesforceFlow,
        "segment": Segment,
        "sendgrid": SendGrid,
        "postmark": Postmark,
        "twilio": Twilio,
        "clay": Clay,
        "g2": G2,
        "bombora": Bombora,
        "linkedin": LinkedIn,
        "cloudevents": CloudEvents,
        "standard_webhooks": StandardWebhooks,
    }
)
"""Every sender, under the name of its part of the configuration."""


def build_senders(settings: Settings) -> list[Sender]:
    """Return every sender that is configured, enabled and has its secret.

    Raises:
        ConfigurationError: enabled senders without a secret, and secrets of the wrong form; lists all of them.
    """
    senders, problems = list[Sender](), list[str]()
    for name, config in settings.config.intake.senders.items():
        door = _door(settings, name, config)
        if not door.secrets:
            if config.enabled is True:
                names = " or ".join(config.secret_names)
                problems.append(f"set the environment variable {names} (intake.{name} needs it)")
            continue
        try:
            senders.append(SENDERS[name].build(config, door))
        except ValueError as error:
            problems.append(f"{' or '.join(config.secret_names)}: {error}")
    if problems:
        raise ConfigurationError(problems)
    return senders


def sender_urls(settings: Settings) -> dict[str, str]:
    """Return the URLs that senders call and sign, of those that are served."""
    intake, waiting = settings.config.intake, waiting_senders(settings)
    found = {name: _url(settings, name, config) for name, config in intake.senders.items() if name not in waiting}
    return {name: url for name, url in found.items() if url}


def _url(settings: Settings, name: str, config: SenderConfig) -> str:
    return settings.public_url(SENDERS[name].path, config.public_url) if config.public_url else ""


def _door(settings: Settings, name: str, config: SenderConfig) -> Door:
    def secrets(names: Sequence[str]) -> tuple[bytes, ...]:
        return tuple(s.get_secret_value().encode() for n in names if (s := settings.secret(n)) is not None)

    types = settings.config.event_types
    personal = frozenset(kind for kind, found in types.items() if found.personal_domains == "skip")
    listed = {kind: found.policy.skip_domains for kind, found in types.items()}
    triggers = settings.config.triggers()
    return Door(secrets(config.secret_names), _url(settings, name, config), triggers, secrets, listed, personal)
