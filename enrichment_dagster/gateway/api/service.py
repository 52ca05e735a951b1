"""Putting the API together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from assets.lanes import with_lane
from enrichment_dagster.clock import Clock
from enrichment_dagster.composition import Stores
from enrichment_dagster.domain.normalise import normalise_domain, normalise_email, personal_reason
from enrichment_dagster.gateway.answers_owed import AnswersOwed, post_owed_answers
from enrichment_dagster.gateway.api.callers import build_callers
from enrichment_dagster.gateway.api.deps import Answering, EnrichDeps
from enrichment_dagster.gateway.deps import Background
from enrichment_dagster.http.outbound import Outbound
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.api_requests import SqlApiRequests
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.explain import ExplainStore
from enrichment_dagster.store.owed_answers import SqlOwedAnswers

FORGET_SECONDS = 3_600.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EnrichService:
    """The API of a process: ``background`` runs with the server, ``close`` comes after it."""

    deps: EnrichDeps
    background: Sequence[Background]
    close: Callable[[], None]


def open_enrich(settings: Settings, stores: Stores, lane: Answering | None) -> EnrichService | None:
    """Build it; None where nobody may call it or nothing can be answered. Nothing is connected yet.

    Raises:
        ConfigurationError: a caller has no key or a wrong secret.
    """
    config = settings.config.intake.enrich
    if config is None or lane is None:
        return None
    callers = build_callers(settings, config)
    _warm_up()
    committer, clock = GroupCommitter(stores.ops, "api"), stores.clock
    requests, owed = SqlApiRequests(committer, clock), SqlOwedAnswers(committer, clock)
    outbound = Outbound(allow_loopback=settings.local_callbacks)
    read_story = ExplainStore(stores.journal, stores.ops).story
    deps = EnrichDeps(
        lane=lane,
        callers=callers,
        requests=requests,
        owed=owed,
        read_story=read_story,
        event_types=frozenset(with_lane(settings.config.event_types)),
        deadline_seconds=config.deadline_seconds,
        public_url=settings.gateway_url,
        local_callbacks=settings.local_callbacks,
    )
    posting = post_owed_answers(AnswersOwed(owed, outbound, callers, read_story, clock), clock, outbound.aclose)
    return EnrichService(deps, [posting, forget_old(requests, owed, clock)], committer.close)


def _warm_up() -> None:
    """Read the lists of domains now: it takes longer than an answer may."""
    normalise_domain("example.com")
    personal_reason(normalise_email("jane@example.com"))


def forget_old(requests: SqlApiRequests, owed: SqlOwedAnswers, clock: Clock) -> Background:
    """Return a background task that deletes what is past its time, every hour."""

    async def api_housekeeping() -> None:
        while True:
            try:
                await requests.forget_old()
                await owed.forget_old()
            except Exception:  # noqa: BLE001 - a store that is away for a while must not end housekeeping
                _log.exception("housekeeping failed", task="api")
            await clock.sleep(FORGET_SECONDS)

    return api_housekeeping
