"""What the engine asks of data providers: a query, a lookup, its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from enrichment_dagster.domain.fields import Value
from enrichment_dagster.domain.quota import Quota
from enrichment_dagster.errors import ProviderError


@dataclass(frozen=True, slots=True)
class Query:
    """What is known of a person and their company when a provider is asked."""

    email: str | None = None  # normalised
    domain: str | None = None  # registrable domain of the company
    company_name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    known: Mapping[str, Value] = field(default_factory=dict, hash=False)  # all valid values so far, by field
    # Vendors' own ids from earlier answers, e.g. "apollo.organization".
    ids: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class RawValue:
    """One value as a provider sent it, not yet normalised."""

    field: str
    value: Any
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer in our field names. No values: the provider knows nothing, which is not a failure."""

    values: tuple[RawValue, ...] = ()
    request_id: str = ""
    http_status: int = 200
    units: int = 1  # how many times the price a charged answer costs
    ids: Mapping[str, str] = field(default_factory=dict, hash=False)  # the vendor's own ids, for its other lookups
    quota: Quota | None = None

    @property
    def is_hit(self) -> bool:
        """Say whether anything was found."""
        return bool(self.values)


@dataclass(frozen=True, slots=True)
class Pending:
    """The provider works on it and answers later: by a call to our callback URL, or when it is polled."""

    request_id: str = ""
    poll_after_seconds: float | None = None  # None: it can't be polled
    http_status: int = 202
    quota: Quota | None = None


class Charge(StrEnum):
    """When a provider takes money."""

    ON_CALL = "on_call"
    ON_HIT = "on_hit"


class Lookup(Protocol):
    """One operation of one provider: what the waterfall asks in order, e.g. ``apollo.person``."""

    @property
    def name(self) -> str:
        """Return the name that plans use, ``<provider>.<purpose>``."""
        ...

    @property
    def provider(self) -> str:
        """Return the provider's name, the one that provenance shows."""
        ...

    @property
    def purpose(self) -> str:
        """Return what is asked: "person", "company", "combined", "verification"."""
        ...

    @property
    def gives(self) -> frozenset[str]:
        """Return the catalogue fields that an answer may fill."""
        ...

    @property
    def price_micros(self) -> int:
        """Return the price of one unit of a charged call."""
        ...

    @property
    def max_units(self) -> int:
        """Return how many units one call may cost at the most: this is reserved before it is sent."""
        ...

    @property
    def charge(self) -> Charge:
        """Return when the price is due."""
        ...

    @property
    def timeout_seconds(self) -> float:
        """Return the longest that one call may take."""
        ...

    @property
    def cache(self) -> CachePolicy | None:
        """Return how long answers are remembered, or None for the general policy."""
        ...

    @property
    def bulk_size(self) -> int:
        """Return how many queries one call of ``fetch_many`` may hold; 1 = there is no bulk call."""
        ...

    @property
    def calls_back(self) -> bool:
        """Say whether the provider answers by calling a URL that each request names."""
        ...

    @property
    def slow(self) -> bool:
        """Say whether the lookup never belongs into the routing lane."""
        ...

    def subject(self, query: Query) -> str | None:
        """Return the subject key that the answer belongs to, or None if the query lacks what this lookup needs."""
        ...

    async def fetch(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Answer | Pending:
        """Make one call, without retries. ``callback_url`` is given to a lookup that ``calls_back``.

        Raises:
            ProviderError: the provider did not answer as documented; says whether it is transient.
        """
        ...

    async def fetch_many(self, queries: Sequence[Query], timeout_seconds: float) -> Sequence[Answer | ProviderError]:
        """Ask for up to ``bulk_size`` subjects in one call; returns one result for each query, in their order.

        Raises:
            ProviderError: the whole call failed.
        """
        ...

    async def poll(self, request_id: str, query: Query, timeout_seconds: float) -> Answer | Pending:
        """Ask for the result of a call that is pending. Costs nothing.

        Raises:
            ProviderError: as ``fetch``; a terminal one ends the waiting.
        """
        ...

    def read_callback(self, body: Any) -> Answer | Pending:
        """Read what the provider sent to the callback URL.

        Raises:
            ProviderError: the body is not of the documented shape.
        """
        ...


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long answers are remembered, in seconds; 0 = not at all."""

    hit_seconds: float
    miss_seconds: float
    error_seconds: float = 0.0  # how long a failure keeps others from asking again
    stale_seconds: float = 0.0  # for how long after its end an answer serves when a refresh fails
