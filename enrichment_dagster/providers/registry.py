"""The providers that this product knows, by name: explicit, no discovery."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from pydantic import SecretStr

from enrichment_dagster.domain.config import LookupConfig, ProviderConfig
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.http import RemoteClient, RemoteClients
from enrichment_dagster.ports import CachePolicy, Charge, Lookup
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


def build_lookups(settings: Settings, clients: RemoteClients, *, require_keys: bool = True) -> dict[str, Lookup]:
    """Return every lookup of the enabled providers by the name that plans use.

    Without ``require_keys`` a missing key is no problem: to look at the lookups, not to ask them.

    Raises:
        ConfigurationError: a provider or lookup is unknown, or keys are missing; lists all of them.
    """
    problems = [
        problem
        for name, config in settings.config.providers.items()
        for problem in (_problems(settings, name, config) if require_keys else _unknown(name, config))
    ]
    if problems:
        raise ConfigurationError(problems)
    return {
        lookup.name: lookup
        for name, config in settings.config.providers.items()
        if config.enabled
        for lookup in _lookups(settings, clients, name, config)
    }


def _problems(settings: Settings, name: str, config: ProviderConfig) -> list[str]:
    problems = _unknown(name, config)
    if config.enabled and settings.secret(config.api_key_env) is None:
        problems.append(f"set the environment variable {config.api_key_env} (providers.{name} needs it)")
    return problems


def _unknown(name: str, config: ProviderConfig) -> list[str]:
    vendor = VENDORS.get(name)
    if vendor is None:
        return [f"providers.{name}: no such provider; known are {', '.join(VENDORS)}; others need api: http"]
    return [
        f"providers.{name}.lookups.{lookup}: no such lookup; known are {', '.join(vendor.lookups)}"
        for lookup in config.lookups
        if lookup not in vendor.lookups
    ]


def _lookups(settings: Settings, clients: RemoteClients, name: str, config: ProviderConfig) -> list[Lookup]:
    vendor, key = VENDORS[name], settings.secret(config.api_key_env) or SecretStr("")
    client = vendor.connect(clients, settings.base_url(name, config.base_url), _stripped(key))
    return [vendor.lookups[lookup](client, _terms(terms, config)) for lookup, terms in config.lookups.items()]


def _stripped(key: SecretStr) -> SecretStr:
    """Return the key without the line break that a file or a copy often ends with."""
    return SecretStr(key.get_secret_value().strip())


def _terms(config: LookupConfig, provider: ProviderConfig) -> Terms:
    cache = config.cache
    return Terms(
        price_micros=round(config.price_usd * 1_000_000),
        charge=Charge(config.charge),
        timeout_seconds=config.timeout_seconds or provider.timeout_seconds,
        cache=None
        if cache is None
        else CachePolicy(cache.hit_seconds, cache.miss_seconds, cache.error_seconds, cache.stale_seconds),
        values=config.values,
        confidence=config.confidence,
        model=provider.model or "",
    )
