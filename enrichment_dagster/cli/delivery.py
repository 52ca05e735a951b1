"""What ``enrichment send`` is about to post: which sender it plays, body, headers, path."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import click

from enrichment_dagster.cli import signing
from enrichment_dagster.domain.config import SenderConfig
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.settings import Settings

PRIVATE_KEY_VARIABLE = "SENDGRID_PRIVATE_KEY"
_ALIASES = {"salesforce": "salesforce_flow"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request to the gateway."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(repr=False)


def sender_name(name: str) -> str:
    """Return a sender's full name."""
    return _ALIASES.get(name, name)


def sender_of(body: bytes) -> str:
    """Say whose body this is, of the two that are sent most: HubSpot posts an array, Flow an object.

    Raises:
        click.UsageError: it is neither.
    """
    try:
        value = json.loads(body)
    except ValueError as error:
        raise click.UsageError(
            f"the file is not JSON ({error}); say with --sender whose body it is to send it anyway"
        ) from error
    if isinstance(value, list):
        return "hubspot"
    if isinstance(value, dict):
        return "salesforce_flow"
    raise click.UsageError("HubSpot posts a JSON array, Salesforce Flow an object; say with --sender whose body it is")


def make_delivery(settings: Settings, sender: str, body: bytes, now_ms: int) -> Delivery:
    """Sign a body as its sender would.

    Raises:
        ConfigurationError: the sender is not configured, or its secret is not in the environment.
    """
    from enrichment_dagster.intake.registry import SENDERS

    name = sender_name(sender)
    config = settings.config.intake.senders.get(name)
    if config is None:
        raise ConfigurationError([f"intake.{name}: not configured, so the gateway does not take its events"])
    path = SENDERS[name].path
    query = _query(name, body)
    url = f"{settings.public_url(path, config.public_url)}{query}" if config.public_url else ""
    unsigned = _Unsigned(_secret(settings, name, config), getattr(config, "header", ""), url, body, now_ms)
    return Delivery(path + query, body, _SIGN[name](unsigned))


@dataclass(frozen=True, slots=True)
class _Unsigned:
    secret: str = field(repr=False)
    header: str  # where a shared secret stands
    url: str
    body: bytes
    now_ms: int

    @property
    def now_s(self) -> int:
        return self.now_ms // 1_000


def _query(name: str, body: bytes) -> str:
    """Return what a sender adds to its URL: Twilio the hash of a body that is no form."""
    is_json = name == "twilio" and body.lstrip()[:1] in (b"{", b"[")
    return f"?bodySHA256={hashlib.sha256(body).hexdigest()}" if is_json else ""


def _secret(settings: Settings, name: str, config: SenderConfig) -> str:
    """Return the first of the secrets that is set (there are two while one is rotated)."""
    names = [PRIVATE_KEY_VARIABLE] if name == "sendgrid" else config.secret_names
    found = next((secret for variable in names if (secret := settings.secret(variable))), None)
    if found is None:
        only = "; SendGrid alone has the real one" if name == "sendgrid" else ""
        needed = f"set the environment variable {' or '.join(names)} (intake.{name} needs it{only})"
        raise ConfigurationError([f"{needed}, or sign for `enrichment demo` with --sandbox"])
    return found.get_secret_value()


def _hubspot(unsigned: _Unsigned) -> dict[str, str]:
    return signing.hubspot_headers(unsigned.secret, unsigned.url, unsigned.body, unsigned.now_ms)


def _shared(unsigned: _Unsigned) -> dict[str, str]:
    return signing.secret_headers(unsigned.secret, unsigned.header)


def _twilio(unsigned: _Unsigned) -> dict[str, str]:
    if "?" in unsigned.url:
        return signing.twilio_json_headers(unsigned.secret, unsigned.url)
    return signing.twilio_headers(unsigned.secret, unsigned.url, unsigned.body)


def _standard(unsigned: _Unsigned) -> dict[str, str]:
    message_id = f"msg_{hashlib.sha256(unsigned.body).hexdigest()[:24]}"  # the same body is the same message
    return signing.standard_headers(unsigned.secret, message_id, unsigned.body, unsigned.now_s)


_SIGN: Mapping[str, Callable[[_Unsigned], dict[str, str]]] = MappingProxyType(
    {
        "hubspot": _hubspot,
        "hubspot_workflow": _hubspot,
        "hubspot_custom_code": _shared,
        "salesforce_flow": _shared,
        "segment": lambda unsigned: signing.segment_headers(unsigned.secret, unsigned.body),
        "sendgrid": lambda unsigned: signing.sendgrid_headers(unsigned.secret, unsigned.body, unsigned.now_s),
        "postmark": lambda unsigned: signing.basic_headers(unsigned.secret),
        "twilio": _twilio,
        "clay": _shared,
        "g2": _shared,
        "bombora": _shared,
        "linkedin": lambda unsigned: signing.linkedin_headers(unsigned.secret, unsigned.body),
        "cloudevents": lambda unsigned: signing.cloudevents_headers(unsigned.secret, unsigned.header, unsigned.body),
        "standard_webhooks": _standard,
    }
)
