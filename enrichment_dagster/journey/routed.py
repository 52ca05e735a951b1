"""What the gateway did of an event within the deadline."""

from __future__ import annotations

from enrichment_dagster.ports import WorkKind
from enrichment_dagster.store.story import Story, Work


def routed_work(story: Story) -> Work | None:
    """Return the gateway's work, or None where the event took the standard lane only."""
    return next((item for item in story.work if item.kind == WorkKind.ROUTING), None)


def counted_work(story: Story) -> list[Work]:
    """Return the event's work, each piece once: where the gateway's was all, the event's own has the same noted."""
    routed = routed_work(story)
    if routed is None:
        return list(story.work)
    return [item for item in story.work if item is routed or item.run_id != routed.run_id]
