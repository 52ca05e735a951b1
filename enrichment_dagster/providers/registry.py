"""The providers that this product knows, by name: explicit, no discovery."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from enrichment_dagster.domain.config import LookupConfig, ProviderConfig
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.http import RemoteClient, RemoteClients
from enrichment_dagster.ports import Charge, Lookup
from enrichment_dagster.providers import apollo, clearbit, zerobounce
from enrichment_dagster.providers.lookup import Terms, VendorLookup
from enrichment_dagster.settings import Settings


class Connect(Protocol):
    """Opens the client of a provider."""

    def __call__(self, clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
        """Return the client."""
        ...


class Vendor(NamedTuple):
    """A provider: how it is reached, and what can be asked."""

    connect: Connect
    lookups: Mapping[str, type[VendorLookup]]


VENDORS: Mapping[str, Vendor] = MappingProxyType(
    {
        "apollo": Vendor(apollo.connect, apollo.LOOKUPS),
        "clearbit": Vendor(clearbit.connect, clearbit.LOOKUPS),
        "zerobounce": Vendor(zerobounce.connect, zerobounce.LOOKUPS),
    }
)
"""A new vendor is a file with ``connect`` and ``LOOKUPS``, and a row here."""


def build_lookups(settings: Settings, clients: RemoteClients) -> dict[str, Lookup]:
    """Return every configured lookup by the name that plans use.

    Raises:
        ConfigurationError: a provider or lookup is unknown, or keys are missing; lists all of them.
    """
    problems = [p for name, config in settings.config.providers.items() for p in _problems(settings, name, config)]
    if problems:
        raise ConfigurationError(problems)
    return {
        lookup.name: lookup
        for name, config in settings.config.providers.items()
        for lookup in _lookups(settings, clients, name, config)
    }


def _problems(settings: Settings, name: str, config: ProviderConfig) -> list[str]:
    vendor = VENDORS.get(name)
    if vendor is None:
        return [f"providers.{name}: no such provider; known are {', '.join(VENDORS)}"]
    problems = [
        f"providers.{name}.lookups.{lookup}: no such lookup; known are {', '.join(vendor.lookups)}"
        for lookup in config.lookups
        if lookup not in vendor.lookups
    ]
    if settings.secret(config.api_key_env) is None:
        problems.append(f"set the environment variable {config.api_key_env} (providers.{name} needs it)")
    return problems


def _lookups(settings: Settings, clients: RemoteClients, name: str, config: ProviderConfig) -> list[Lookup]:
    vendor, key = VENDORS[name], settings.secret(config.api_key_env) or SecretStr("")
    client = vendor.connect(clients, settings.base_url(name, config.base_url), _stripped(key))
    return [
        vendor.lookups[lookup](client, _terms(terms, config.timeout_seconds))
        for lookup, terms in config.lookups.items()
    ]


def _stripped(key: SecretStr) -> SecretStr:
    """Return the key without the line break that a file or a copy often ends with."""
    return SecretStr(key.get_secret_value().strip())


def _terms(config: LookupConfig, timeout_seconds: float) -> Terms:
    return Terms(round(config.price_usd * 1_000_000), Charge(config.charge), timeout_seconds)
