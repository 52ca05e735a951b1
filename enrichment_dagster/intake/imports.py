"""Telling an import from leads that somebody waits for: an import is the standard lane's, whose batches cost less."""

from __future__ import annotations

from collections.abc import Sequence

from enrichment_dagster.domain.event import Event

MOST_TOGETHER = 20
"""More fresh leads than this in one delivery are no visitors of a form."""

_IMPORT_SOURCES = frozenset({"IMPORT"})  # HubSpot's changeSource


def urgent(events: Sequence[Event]) -> list[bool]:
    """Say of each event of one delivery whether somebody may wait for it."""
    if len(events) > MOST_TOGETHER:
        return [False] * len(events)
    return [event.attributes.get("changeSource") not in _IMPORT_SOURCES for event in events]
