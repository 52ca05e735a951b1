"""The providers that this product knows, by name: explicit, no discovery."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from pydantic import SecretStr

from enrichment_dagster.domain.config import LookupConfig, ProviderConfig
from enrichment_dagster.domain.config_checks import Problem
from enrichment_dagster.errors import ConfigurationError
from enrichment_dagster.http import RemoteClient, RemoteClients
from enrichment_dagster.ports import CachePolicy, Charge, Lookup
from enrichment_dagster.providers import (
    ai,
    apollo,
    clay,
    clearbit,
    declarative,
    hunter,
    people_data_labs,
    zerobounce,
)
from enrichment_dagster.providers.checks import problems_in_file, problems_of
from enrichment_dagster.providers.declarative import DeclarativeLookup, Description
from enrichment_dagster.providers.lookup import HttpLookup, Terms
from enrichment_dagster.settings import Settings


class Connect(Protocol):
    """Opens the client of a provider."""

    def __call__(self, clients: RemoteClients, base_url: str, key: SecretStr) -> RemoteClient:
        """Return the client."""
        ...


class Vendor(NamedTuple):
    """A provider: how it is reached, what can be asked, and what more than others it needs of the configuration."""

    connect: Connect
    lookups: Mapping[str, type[HttpLookup]]
    apart: Mapping[str, Connect] = MappingProxyType({})  # lookups that are reached in another way
    problems: Callable[[ProviderConfig], list[Problem]] = lambda config: []


VENDORS: Mapping[str, Vendor] = MappingProxyType(
    {
        "apollo": Vendor(apollo.connect, apollo.LOOKUPS),
        "clearbit": Vendor(clearbit.connect, clearbit.LOOKUPS, apart=clearbit.APART),
        "zerobounce": Vendor(zerobounce.connect, zerobounce.LOOKUPS),
        "people_data_labs": Vendor(people_data_labs.connect, people_data_labs.LOOKUPS),
        "hunter": Vendor(hunter.connect, hunter.LOOKUPS),
        "ai": Vendor(ai.connect, ai.LOOKUPS, problems=ai.problems),
        "clay": Vendor(clay.connect, clay.LOOKUPS, problems=clay.problems),
    }
)
"""A new vendor is a file with ``connect`` and ``LOOKUPS``, and a row here."""


def build_lookups(settings: Settings, clients: RemoteClients, *, require_keys: bool = True) -> dict[str, Lookup]:
    """Return every lookup of the enabled providers by the name that plans use.

    Without ``require_keys`` a missing key is no problem: to look at the lookups, not to ask them.

    Raises:
        ConfigurationError: a provider or lookup is unknown, or keys are missing; lists all of them.
    """
    providers = settings.config.providers.items()
    wrong = [problem for name, config in providers for problem in problems_of(name, config, VENDORS)]
    problems = [f"{'.'.join(map(str, place))}: {message}" for place, message in wrong]
    if require_keys:
        problems += [p for name, config in providers for p in _keyless(settings, name, config)]
    if problems:
        raise ConfigurationError(problems)
    return {
        lookup.name: lookup
        for name, config in providers
        if config.enabled
        for lookup in _lookups(settings, clients, name, config)
    }


def _keyless(settings: Settings, name: str, config: ProviderConfig) -> list[str]:
    if not config.enabled or settings.secret(config.api_key_env) is not None:
        return []
    return [f"set the environment variable {config.api_key_env} (providers.{name} needs it)"]


def provider_problems(raw: Any) -> Iterator[Problem]:
    """Return what is wrong with a file's providers that its form does not tell: a ``settings.Check``."""
    return problems_in_file(raw, VENDORS)


def _lookups(settings: Settings, clients: RemoteClients, name: str, config: ProviderConfig) -> list[HttpLookup]:
    url, key = settings.base_url(name, config.base_url), _stripped(settings.secret(config.api_key_env) or SecretStr(""))
    if config.api == "http" and config.auth is not None:
        return _described(declarative.connect(clients, name, url, key, config.auth), name, config)
    vendor = VENDORS[name]
    ways = {purpose: vendor.apart.get(purpose, vendor.connect) for purpose in config.lookups}
    opened = {connect: connect(clients, url, key) for connect in set(ways.values())}
    return [
        vendor.lookups[purpose](opened[ways[purpose]], _terms(lookup, config))
        for purpose, lookup in config.lookups.items()
    ]


def _described(client: RemoteClient, name: str, config: ProviderConfig) -> list[HttpLookup]:
    return [
        DeclarativeLookup(client, _terms(lookup, config), Description(name, purpose, request, lookup.request_id))
        for purpose, lookup in config.lookups.items()
        if (request := lookup.request) is not None
    ]


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
