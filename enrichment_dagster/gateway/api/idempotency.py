"""The same request twice has one effect and one answer, in one process and across several.

Inside a process a repeat waits for the first one's task; another process looks at the store until the answer is there.
The work belongs to its task and not to the connection: a client that leaves does not undo what is paid for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from enrichment_dagster.clock import Clock
from enrichment_dagster.errors import IntakeError, StoreError
from enrichment_dagster.ports import ApiRequests

_POLL_SECONDS = 0.1
_LATE_SHARE, _LATE_SECONDS = 0.5, 0.25  # of the patience, the greater: what is left is too little for a kept answer

_log = structlog.get_logger(__name__)


class KeyReused(IntakeError):  # noqa: N818 - named as the answer is
    """The key stands for another body."""

    status = 409


class InProgress(IntakeError):  # noqa: N818
    """The first request of this key has no answer yet."""

    status = 409


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it goes over the wire; ``replayed``: it was made for an earlier request."""

    status: int
    body: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What makes two requests the same."""

    caller: str
    key: str
    body_hash: str
    event_id: str


Work = Callable[[], Awaitable[Reply]]


class Idempotency:
    """Does each request once."""

    def __init__(self, requests: ApiRequests, clock: Clock) -> None:
        self._requests = requests
        self._clock = clock
        self._running: dict[tuple[str, str], tuple[str, asyncio.Task[Reply]]] = {}
        self._tasks: set[asyncio.Task[Reply]] = set()

    async def once(self, request: Request, work: Work, patience_seconds: float) -> Reply:
        """Return the answer of this request, made now or before. Without a key the work is simply done.

        Raises:
            KeyReused: the key came with another body before.
            InProgress: the first request has no answer within ``patience_seconds``.
            StoreError: the key could not be noted in time; nothing was done.
        """
        if not request.key:
            return await asyncio.shield(self._started(work()))
        name = (request.caller, request.key)
        if name in self._running:
            body_hash, first = self._running[name]
            if body_hash != request.body_hash:
                raise _reused()
            return await _waited(first, patience_seconds)
        task = self._started(self._first(request, work, patience_seconds))
        self._running[name] = (request.body_hash, task)
        task.add_done_callback(lambda _task: self._running.pop(name, None))
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait for what is being worked on; called when the process ends."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _started(self, work: Awaitable[Reply]) -> asyncio.Task[Reply]:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Reply]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may be waiting any more

    async def _first(self, request: Request, work: Work, patience_seconds: float) -> Reply:
        begun = self._clock.monotonic()
        give_up, waited = begun + patience_seconds, False
        late = begun + max(_LATE_SHARE * patience_seconds, _LATE_SECONDS)
        while True:
            earlier = await self._requests.begin(request.caller, request.key, request.body_hash, request.event_id)
            if earlier is None and self._clock.monotonic() > late:
                await self._release(request)
                raise _in_progress() if waited else StoreError("the key could not be noted in time")
            if earlier is None:
                return await self._done(request, work)
            if earlier.body_hash != request.body_hash:
                raise _reused()
            if earlier.answer is not None:
                return Reply(earlier.answer["status"], earlier.answer["body"].encode(), replayed=True)
            if self._clock.monotonic() >= give_up:
                raise _in_progress()
            await self._clock.sleep(_POLL_SECONDS)
            waited = True

    async def _done(self, request: Request, work: Work) -> Reply:
        try:
            reply = await work()
        except Exception:
            await self._release(request)
            raise
        # As text: what is given back has to be the same to the byte.
        kept = {"status": reply.status, "body": reply.body.decode()}
        await self._requests.finish(request.caller, request.key, kept)
        return reply

    async def _release(self, request: Request) -> None:
        try:
            await self._requests.release(request.caller, request.key)
        except Exception:  # noqa: BLE001 - the cause of the failure matters more; the key becomes free by itself
            _log.exception("a request's key could not be released", event_id=request.event_id)


async def _waited(first: asyncio.Task[Reply], seconds: float) -> Reply:
    try:
        async with asyncio.timeout(seconds):
            reply = await asyncio.shield(first)
    except TimeoutError:
        raise _in_progress() from None
    return Reply(reply.status, reply.body, replayed=True)


def _reused() -> KeyReused:
    return KeyReused("idempotency_key_reused", "this Idempotency-Key came with another body before")


def _in_progress() -> InProgress:
    return InProgress("in_progress", "the first request of this Idempotency-Key is being worked on; come again")
