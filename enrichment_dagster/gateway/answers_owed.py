"""Posting to callers what became of their events, until they say that they have it or a day is over.

What is owed is in the store, so any process may post it; who has it in hand holds a lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.errors import IntakeError, RemoteError
from enrichment_dagster.gateway.api.bodies import encode
from enrichment_dagster.gateway.api.callers import Callers
from enrichment_dagster.gateway.api.deps import ReadStory
from enrichment_dagster.gateway.deps import Background
from enrichment_dagster.http.outbound import Receipt
from enrichment_dagster.http.standard_webhooks import signed_headers
from enrichment_dagster.journey.ended import build_ended
from enrichment_dagster.ports import OwedAnswer, OwedAnswers

LOOK_SECONDS = 1.0
POST_SECONDS = 10.0
LEASE_SECONDS = 60.0
AT_ONCE = 20
_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 5.0, 3_600.0
_GIVE_UP_SECONDS = 24 * 3_600.0
_GONE = 410
_SUCCESS = 2  # the first digit of its statuses

_log = structlog.get_logger(__name__)


class Poster(Protocol):
    """What posts to callers' URLs (``http.outbound.Outbound``)."""

    async def post(self, url: str, body: bytes, headers: dict[str, str], timeout_seconds: float) -> Receipt:
        """Post a JSON body.

        Raises:
            RemoteError: nobody answered.
            PayloadError: the URL may not be posted to.
        """
        ...


def retry_delay(tries: int) -> float | None:
    """Return the seconds until the next try after so many: doubled up to an hour, None once a day is over."""
    spent = sum(_delay(n) for n in range(tries - 1))
    return None if spent >= _GIVE_UP_SECONDS else _delay(tries - 1)


def _delay(doublings: int) -> float:
    return min(_FIRST_DELAY_SECONDS * 2.0 ** min(doublings, 30), _LONGEST_DELAY_SECONDS)


class AnswersOwed:
    """Posts what is due."""

    def __init__(
        self, owed: OwedAnswers, poster: Poster, callers: Callers, read_story: ReadStory, clock: Clock
    ) -> None:
        self._owed = owed
        self._poster = poster
        self._callers = callers
        self._read_story = read_story
        self._clock = clock

    async def step(self) -> int:
        """Post everything that is due now; returns how many were tried."""
        claimed = await self._owed.claim(AT_ONCE, LEASE_SECONDS)
        await asyncio.gather(*(self._settle(answer) for answer in claimed))
        return len(claimed)

    async def _settle(self, answer: OwedAnswer) -> None:
        caller = self._callers.named(answer.caller)
        story = await asyncio.to_thread(self._read_story, answer.event_id)
        if caller is None or caller.callback_key is None or story is None:
            await self._owed.close(answer.event_id, "given_up", "no_event" if story is None else "no_callback_secret")
            return
        now = self._clock.now()
        body = encode(build_ended(story, now))
        headers = signed_headers(caller.callback_key, answer.event_id, now, body)
        try:
            receipt = await self._poster.post(answer.url, body, headers, POST_SECONDS)
        except RemoteError as error:
            await self._failed(answer, error.reason)
        except IntakeError as error:  # what may be posted to has changed since it was asked for
            await self._owed.close(answer.event_id, "given_up", error.reason)
        else:
            await self._received(answer, receipt)

    async def _received(self, answer: OwedAnswer, receipt: Receipt) -> None:
        if receipt.status // 100 == _SUCCESS:
            await self._owed.close(answer.event_id, "done")
        elif receipt.status == _GONE:
            await self._owed.close(answer.event_id, "given_up", "gone")
        else:
            await self._failed(answer, f"status_{receipt.status}", receipt.retry_after_seconds or 0.0)

    async def _failed(self, answer: OwedAnswer, reason: str, asked_seconds: float = 0.0) -> None:
        delay = retry_delay(answer.tries + 1)
        if delay is None:
            _log.warning("an answer to a caller was given up", event_id=answer.event_id, reason=reason)
            await self._owed.close(answer.event_id, "given_up", reason)
            return
        wait = max(delay, min(asked_seconds, _LONGEST_DELAY_SECONDS))
        await self._owed.put_off(answer.event_id, reason, wait)


def post_owed_answers(answers: AnswersOwed, clock: Clock, close: Callable[[], Awaitable[None]]) -> Background:
    """Return a background task that posts what is due, again and again.

    ``close`` is awaited when the server ends: connections belong to the event loop that opened them.
    """

    async def answers_owed() -> None:
        try:
            while True:
                try:
                    await answers.step()
                except Exception:  # noqa: BLE001 - a store that is away for a while must not end the posting
                    _log.exception("answers to callers could not be posted")
                await clock.sleep(LOOK_SECONDS)
        finally:
            await close()

    return answers_owed
