"""The configuration with the lookups that it offers, to look at: no keys are needed and nothing is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from enrichment_dagster.settings import Settings, load_settings

if TYPE_CHECKING:
    from enrichment_dagster.ports import Lookup


def load_checked(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings, and check also what only the vendors' adapters know: which lookups there are.

    Raises:
        ConfigurationError: lists every problem, with its line.
    """
    from enrichment_dagster.providers.registry import provider_problems

    return load_settings(environ, provider_problems)


def offered_lookups(settings: Settings) -> dict[str, Lookup]:
    """Return the lookups of the enabled providers by name.

    Raises:
        ConfigurationError: a provider or lookup has no adapter; lists all of them.
    """
    from enrichment_dagster.http import RemoteClients
    from enrichment_dagster.providers.registry import build_lookups

    # The clients connect when they are first used, which never happens: there is nothing to close.
    return build_lookups(settings, RemoteClients(), require_keys=False)


def described_lookups(settings: Settings) -> dict[str, Lookup]:
    """Return the lookups of all providers by name, those that are not enabled included.

    Raises:
        ConfigurationError: as ``offered_lookups``.
    """
    config = settings.config
    providers = {name: provider.model_copy(update={"enabled": True}) for name, provider in config.providers.items()}
    return offered_lookups(replace(settings, config=config.model_copy(update={"providers": providers})))
