"""Group commit: many small requests from one event loop share one durable transaction.

Whatever is asked while a commit is under way goes into the next one, so a lone request waits for nothing and a burst
costs a handful of commits. A request is answered only after its transaction is durable.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from enrichment_dagster.errors import StoreError
from enrichment_dagster.store.database import Database

Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)

_MAX_GROUP = 2_000
_GATHER_SECONDS = 0.001
"""How long the patient wait: the answers of one lead's providers often come at about the same time."""


class Handler(Protocol[Item_contra, Result_co]):
    """Work on several requests of one kind inside one transaction; returns one result for each, in order.

    A handler may return an exception in place of a result: only that request fails.
    """

    def __call__(self, connection: Connection, items: Sequence[Item_contra], /) -> Sequence[Result_co | Exception]:
        """Do the work."""
        ...


@dataclass(slots=True)
class _Request:
    handler: Handler[Any, Any]
    item: Any
    future: asyncio.Future[Any]
    result: Any = None  # or the exception


class GroupCommitter:
    """One writer thread that commits everything asked since its last commit in one transaction."""

    def __init__(self, database: Database, name: str, pause_seconds: float = 0.0) -> None:
        """``pause_seconds``: how long the lock is left to other processes after each transaction."""
        self._pause_seconds = pause_seconds
        self._writer = database.writer()
        self.reader = database.reader()
        """For what an asker only wants to know: its queries do not wait for the commit under way."""
        self._asked: deque[_Request] = deque()
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()  # one wakes the thread: a call to the system
        self._called = False  # and it has not begun to look yet
        self._hurries = False  # one of those who ask is not patient
        self._closed = False
        self._gate = threading.Lock()  # nothing may be asked after the closing: nobody would answer it
        self._thread = threading.Thread(target=self._run, name=f"committer-{name}", daemon=True)
        self._thread.start()

    async def submit(
        self, handler: Handler[Item_contra, Result_co], item: Item_contra, *, patient: bool = False
    ) -> Result_co:
        """Do one request in the next transaction and return its result once that is durable.

        ``patient``: it may wait a moment for others to come along.

        Raises:
            StoreError: the committer is closed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result_co] = loop.create_future()
        with self._gate:
            if self._closed:
                raise StoreError("the store is closed")
            self._asked.append(_Request(handler, item, future))
            self._hurries = self._hurries or not patient
        # Not yet: the lookups of a lead ask one after the other, and the thread would run off with the first one.
        loop.call_soon(self._call)
        return await future

    def close(self) -> None:
        """Finish what was asked and stop the thread."""
        with self._gate:
            self._closed = self._hurries = True
            self._call()
        self._thread.join()
        self.reader.close()

    def _call(self) -> None:
        if not self._called:
            self._called = True
            self._calls.put(None)

    def _run(self) -> None:
        while self._asked or not self._closed:
            if not self._asked:
                self._calls.get()
                if not self._hurries:
                    time.sleep(_GATHER_SECONDS)
                self._called = False  # before looking: what is asked from now on calls again
            self._hurries = False
            self._commit_live([self._asked.popleft() for _ in range(min(len(self._asked), _MAX_GROUP))])
            if self._pause_seconds:
                time.sleep(self._pause_seconds)
        self._writer.close()

    def _commit_live(self, requests: list[_Request]) -> None:
        """Commit what its asker still waits for; from here on a request can't be cancelled any more."""
        live = [request for request in requests if not request.future.cancelled()]
        if live:
            self._commit(live)
            _answer(live)

    def _commit(self, requests: list[_Request]) -> None:
        groups: dict[int, list[_Request]] = {}
        for request in requests:
            groups.setdefault(id(request.handler), []).append(request)
        try:
            with self._writer.transaction() as connection:
                answers = [
                    (group, group[0].handler(connection, [request.item for request in group]))
                    for group in groups.values()
                ]
        except OperationalError as error:  # the database itself: each further try would only wait as long again
            for request in requests:
                request.result = error
            return
        except Exception as error:  # noqa: BLE001 - the thread must live; whoever asked gets the error
            self._commit_one_by_one(requests, error)
            return
        for group, results in answers:
            for request, result in zip(group, results, strict=True):
                request.result = result

    def _commit_one_by_one(self, requests: list[_Request], error: Exception) -> None:
        """After a failed group: one bad request must not fail the others."""
        if len(requests) == 1:
            requests[0].result = error
            return
        for request in requests:
            self._commit([request])


def _answer(requests: list[_Request]) -> None:
    """Tell the askers, with one call into each event loop: to wake a loop costs a system call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Request]] = {}
    for request in requests:
        by_loop.setdefault(request.future.get_loop(), []).append(request)
    for loop, group in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, group)


def _resolve(requests: list[_Request]) -> None:
    for request in requests:
        if request.future.done():  # cancelled while it was committed
            continue
        if isinstance(request.result, Exception):
            request.future.set_exception(request.result)
        else:
            request.future.set_result(request.result)


def each(function: Callable[[Connection, Item_contra], Result_co | Exception]) -> Handler[Item_contra, Result_co]:
    """Turn a function of one request into a handler; keep the handler, do not make a new one per request."""

    def handle(connection: Connection, items: Sequence[Item_contra], /) -> Sequence[Result_co | Exception]:
        return [function(connection, item) for item in items]

    return handle
