"""Asking providers for answers that come later, beside the requests: few at once, so that webhooks do not notice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.late import LateAnswers
from enrichment_dagster.gateway.deps import Background

POLL_SECONDS = 5.0
EXPIRE_SECONDS = 60.0
POLLS_PER_ROUND = 20

_log = structlog.get_logger(__name__)


def poll_late_answers(late: LateAnswers, clock: Clock, close: Callable[[], Awaitable[None]]) -> Background:
    """Return a background task that polls every few seconds and gives up what is too late every minute.

    ``close`` is awaited when the server ends: connections belong to the event loop that opened them.
    """

    async def late_answers() -> None:
        expire_at = clock.monotonic()
        try:
            while True:
                await _quietly("poll", late.poll_due(POLLS_PER_ROUND))
                if clock.monotonic() >= expire_at:
                    await _quietly("expire", late.expire())
                    expire_at = clock.monotonic() + EXPIRE_SECONDS
                await clock.sleep(POLL_SECONDS)
        finally:
            await close()

    return late_answers


async def _quietly(what: str, step: Awaitable[int]) -> None:
    try:
        await step
    except Exception:  # noqa: BLE001 - a store that is away for a while must not end the polling
        _log.exception("late answers", failed=what)
