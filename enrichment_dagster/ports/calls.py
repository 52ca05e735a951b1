"""What stands around a paid call: its permission, its account, and how its provider fares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

from enrichment_dagster.domain.outcome import MissingReason
from enrichment_dagster.ports.providers import Answer, CachePolicy, Pending

_NOT_AT_ALL = CachePolicy(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class AttemptKey:
    """What makes a paid call unique while it is in flight."""

    provider: str
    purpose: str
    subject_key: str


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """Everything that decides whether a call may be sent."""

    key: AttemptKey
    event_id: str
    work_id: str = ""  # woken when the answer comes later
    reserve_micros: int = 0  # the most that the call may cost
    event_budget_micros: int | None = None  # what the event may cost in all
    lease_seconds: float = 30.0  # from the moment of sending
    send_before: datetime | None = None  # a later call would be of no use
    role: str = ""  # "hedge": sent because the call before it was slow
    calls_back: bool = False  # the answer comes to a callback URL
    lookup: str = ""  # this and the query are kept while the answer to a call that calls back is pending
    query: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0  # its share of a call: less than one where several queries go in one


@dataclass(frozen=True, slots=True)
class Cached:
    """An answer is there already; nothing is sent. ``answer`` without values is a remembered miss."""

    answer: Answer
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """The attempt row is durable, the money reserved: the call may be sent at ``send_at``."""

    attempt_id: str
    send_at: datetime | None = None  # later than now where the rate limit spaces the calls
    callback_token: str = ""  # unguessable and good for one answer
    stale: Cached | None = None  # an expired answer, to be served if the call fails


@dataclass(frozen=True, slots=True)
class InFlight:
    """Another worker is asking the same thing right now."""

    until: datetime  # after this moment that worker is taken for dead


@dataclass(frozen=True, slots=True)
class Awaited:
    """The provider was asked before and answers later; this work is woken then as well."""

    attempt_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The call may not be sent. ``reason``: see ``REFUSALS``; ``retry_at`` is None where waiting is no use."""

    reason: str
    retry_at: datetime | None = None
    stale: Cached | None = None


SPENDING_STOPPED = "spending_stopped"
"""The reason of a call that the kill switch keeps back."""

REFUSALS: Mapping[str, MissingReason] = MappingProxyType(
    {
        "budget_event": MissingReason.BUDGET,
        "budget_provider": MissingReason.BUDGET,
        "budget_day": MissingReason.BUDGET,
        "lifetime_cap": MissingReason.BUDGET,
        SPENDING_STOPPED: MissingReason.POLICY,
        "breaker_open": MissingReason.PROVIDER_DOWN,
        "recent_error": MissingReason.PROVIDER_DOWN,
        "rate_limited": MissingReason.TIMEOUT,
        "concurrency": MissingReason.TIMEOUT,
    }
)
"""Why a call may not be sent, and what that makes of the fields that it could have filled."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one attempt ended."""

    attempt_id: str
    key: AttemptKey
    outcome: str  # "hit", "miss", "error", "pending", or "unknown" when nobody can say whether the call was served
    reason: str = ""  # the error's reason code
    answer: Answer | None = None
    pending: Pending | None = None
    http_status: int | None = None
    latency_ms: int = 0
    cost_micros: int = 0
    retry_after_seconds: float | None = None
    cache: CachePolicy = _NOT_AT_ALL
    speaks: bool = True  # of several attempts that one call served, the one that stands for it in the provider's health
    lookup: str = ""  # this and the query are kept while an answer is pending
    query: Mapping[str, Any] = field(default_factory=dict)


class AttemptLedger(Protocol):
    """The durable record of paid calls: cache, singleflight between processes, protection and bill in one."""

    async def begin(self, request: AttemptRequest) -> Opened | Cached | InFlight | Awaited | Refused:
        """Return a fresh cached answer, or make the attempt row durable, or say why nothing may be sent."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Store how the attempt ended and remember its answer."""
        ...

    async def is_stopped(self, provider: str) -> bool:
        """Say whether an operator has stopped paid calls to a provider, or all of them."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderStanding:
    """How a provider does at present, as all processes have seen it."""

    open: bool = False  # its breaker is open: nothing is sent
    demoted: bool = False  # its success fell too low: others are asked first
    p50_ms: Mapping[str, float] = field(default_factory=dict)  # by purpose; absent where too few calls were seen
    p95_ms: Mapping[str, float] = field(default_factory=dict)


class Standings(Protocol):
    """How the providers do; what is shown may be a second old."""

    async def current(self) -> Mapping[str, ProviderStanding]:
        """Return the standing of each provider that was ever called."""
        ...
