"""The lookups that the configuration offers, to look at: no keys are needed and nothing is asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from enrichment_dagster.settings import Settings

if TYPE_CHECKING:
    from enrichment_dagster.ports import Lookup


def offered_lookups(settings: Settings) -> dict[str, Lookup]:
    """Return the lookups of the enabled providers by name.

    Raises:
        ConfigurationError: a provider or lookup has no adapter; lists all of them.
    """
    return asyncio.run(_build(settings))


def described_lookups(settings: Settings) -> dict[str, Lookup]:
    """Return the lookups of all providers by name, those that are not enabled included.

    Raises:
        ConfigurationError: as ``offered_lookups``.
    """
    config = settings.config
    providers = {name: provider.model_copy(update={"enabled": True}) for name, provider in config.providers.items()}
    return offered_lookups(replace(settings, config=config.model_copy(update={"providers": providers})))


async def _build(settings: Settings) -> dict[str, Lookup]:
    from enrichment_dagster.http import RemoteClients
    from enrichment_dagster.providers.registry import build_lookups

    async with RemoteClients() as clients:
        return build_lookups(settings, clients, require_keys=False)
