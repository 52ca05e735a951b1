"""Outgoing HTTP: the only importer of httpx and aiohttp. Adapters use ``RemoteClients`` and what it opens."""

from enrichment_dagster.http.call import Call, Text
from enrichment_dagster.http.client import RemoteClient, Reply
from enrichment_dagster.http.clients import RemoteClients
from enrichment_dagster.http.statuses import Rule

__all__ = ["Call", "RemoteClient", "RemoteClients", "Reply", "Rule", "Text"]
