"""The routing lane beside the requests: begins with the server, and brings what it has in hand to an end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.routing import RoutingCounts, RoutingLane
from enrichment_dagster.gateway.deps import Background

SHARE_SECONDS = 10.0

_log = structlog.get_logger(__name__)

Share = Callable[[RoutingCounts], None]


def route_leads(lane: RoutingLane, clock: Clock, share: Share, close: Callable[[], Awaitable[None]]) -> Background:
    """Return a background task that routes, stores and delivers.

    ``share`` takes the counts of the last seconds, in a thread: all processes' counts make one report. ``close`` is
    awaited when the server ends: connections belong to the event loop that opened them.
    """

    async def share_counts() -> None:
        while True:
            await clock.sleep(SHARE_SECONDS)
            await _share(lane, share)

    async def routing() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for task in (lane.route_webhooks(), lane.conclude_finished(), share_counts()):
                    group.create_task(task)
        finally:
            await lane.drain()
            await _share(lane, share)
            await close()

    return routing


async def _share(lane: RoutingLane, share: Share) -> None:
    counts = lane.take_counts()
    if counts.is_empty:
        return
    try:
        await asyncio.to_thread(share, counts)
    except Exception:  # noqa: BLE001 - a report that lacks some seconds is better than a lane that stands still
        _log.exception("counts of the routing lane are lost", answers=sum(counts.outcomes.values()))
