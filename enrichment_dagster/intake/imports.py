"""Telling an import from leads that somebody waits for: an import is the standard lane's, whose batches cost less."""

from __future__ import annotations

from collections.abc import Sequence

from enrichment_dagster.domain.event import Event

MOST_TOGETHER = 20
"""More fresh leads than this in one delivery are no visitors of a form."""

_IMPORT = "import"
_SAYS_SO = ("changeSource", "lead_source")  # HubSpot's word, and our own


def urgent(events: Sequence[Event]) -> list[bool]:
    """Say of each event of one delivery whether somebody may wait for it."""
    if len(events) > MOST_TOGETHER:
        return [False] * len(events)
    return [not any(_is_import(event.attributes.get(name)) for name in _SAYS_SO) for event in events]


def _is_import(source: object) -> bool:
    return isinstance(source, str) and source.lower() == _IMPORT
