"""What the gateway needs of a sender: a path, a proof of origin and a parser. Pure: no I/O, time is handed in."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from enrichment_dagster.domain.event import Event
from enrichment_dagster.ports import KeptBody


@dataclass(frozen=True, slots=True)
class RawRequest:
    """A request as it came in. ``headers`` is asked with lower-case names; ``body`` is what the sender signed."""

    method: str
    headers: Mapping[str, str]
    body: bytes
    query: str = ""  # as it stands in the URL, without the question mark


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a body holds: the events, and the elements of a good batch that can't be read."""

    events: list[Event] = field(default_factory=list)
    rejects: list[KeptBody] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Manners:
    """What a sender makes of our answers, by its documentation."""

    unreadable: int | None = None
    """The answer to a proven body that can't be read and has been kept: 200 for a sender that would repeat it in vain.
    None: the error's own status, a 4xx, for one that shows it to its operator and does not repeat."""
    again: int = 503
    """The answer that makes it come again."""
    retry_after: str = "5"
    """When, in its unit: seconds as a rule."""
    final_4xx: bool = False
    """It gives up after any 4xx but ``again``, even after one that a second try would mend."""


class Proof(Protocol):
    """How a sender proves that a request is its own."""

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Prove that the request comes from the sender.

        Raises:
            SignatureError: it is not proven; ``reason`` says how.
        """
        ...


class Sender(Protocol):
    """One sender of webhooks."""

    @property
    def name(self) -> str:
        """Return the name that its events carry as ``source``."""
        ...

    @property
    def path(self) -> str:
        """Return the path that it posts to."""
        ...

    @property
    def manners(self) -> Manners:
        """Return how it is to be answered."""
        ...

    def verify(self, request: RawRequest, now: datetime) -> None:
        """Prove that the request comes from the sender.

        Raises:
            SignatureError: it is not proven; ``reason`` says how.
        """
        ...

    def parse(self, request: RawRequest, now: datetime) -> Parsed:
        """Turn a proven request into events.

        Raises:
            PayloadError: the body as a whole can't be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Greeting:
    """The answer to a greeting."""

    content: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Greeted(Protocol):
    """A sender that asks, before it posts, whether it may."""

    @property
    def greeting_method(self) -> str:
        """Return the HTTP method of the question."""
        ...

    def greet(self, request: RawRequest) -> Greeting:
        """Answer the question.

        Raises:
            PayloadError: it is none.
        """
        ...


@runtime_checkable
class Answering(Protocol):
    """A sender that is told more than what became of its delivery."""

    def answer(self, parsed: Parsed, fresh: Sequence[bool]) -> Mapping[str, Any]:
        """Return what to add to the answer; ``fresh`` says which of the events are new."""
        ...

    def refusal(self, reason: str, detail: str) -> Mapping[str, Any]:
        """Return the same for a delivery that is refused."""
        ...


def any_equal(candidates: Sequence[bytes], given: bytes) -> bool:
    """Compare with every candidate in constant time (two while a secret is rotated)."""
    return any([hmac.compare_digest(candidate, given) for candidate in candidates])  # noqa: C419 - no early exit
