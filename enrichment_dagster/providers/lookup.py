"""What all lookups share: the terms from the configuration, and reading an answer's object with care."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from enrichment_dagster.domain.keys import domain_subject, email_subject
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, Reply
from enrichment_dagster.ports import Answer, Charge, Query


@dataclass(frozen=True, slots=True)
class Terms:
    """What the configuration says of a lookup: price, when it is due, patience."""

    price_micros: int
    charge: Charge
    timeout_seconds: float


@dataclass(frozen=True)
class VendorLookup(ABC):
    """A lookup over HTTP. A vendor's class says what it asks and how it reads the reply."""

    provider: ClassVar[str]
    purpose: ClassVar[str]
    gives: ClassVar[frozenset[str]]

    client: RemoteClient = field(repr=False)
    terms: Terms

    @property
    def name(self) -> str:
        """Return the name that plans use, ``<provider>.<purpose>``."""
        return f"{self.provider}.{self.purpose}"

    @property
    def price_micros(self) -> int:
        """Return the price of one charged call."""
        return self.terms.price_micros

    @property
    def charge(self) -> Charge:
        """Return when the price is due."""
        return self.terms.charge

    @property
    def timeout_seconds(self) -> float:
        """Return the longest that one call may take."""
        return self.terms.timeout_seconds

    @abstractmethod
    def subject(self, query: Query) -> str | None:
        """Return the subject key that the answer belongs to, or None if the query lacks what this lookup needs."""

    @abstractmethod
    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        """Send the request."""

    @abstractmethod
    def _read(self, reply: Reply) -> Answer:
        """Return what the reply says, in our field names."""

    async def fetch(self, query: Query, timeout_seconds: float) -> Answer:
        """Make one call, without retries.

        Raises:
            ProviderError: no reply, a status that is no answer, or a body of another shape than documented.
        """
        if self.subject(query) is None:
            raise ProviderError("incomplete_query", transient=False, maybe_sent=False)
        return self._read(await self._ask(query, timeout_seconds))


def by_email(query: Query) -> str | None:
    """Return the subject key of a query about a person."""
    return email_subject(query.email) if query.email else None


def by_domain(query: Query) -> str | None:
    """Return the subject key of a query about a company."""
    return domain_subject(query.domain) if query.domain else None


def object_of(reply: Reply) -> Mapping[str, Any]:
    """Return the reply's body, which is to be an object.

    Raises:
        ProviderError: it is something else.
    """
    if not isinstance(reply.body, dict):
        raise malformed("the reply is not an object")
    return reply.body


def object_at(body: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    """Return the object under a key; None where the vendor knows nothing: missing, null or empty.

    Raises:
        ProviderError: it is something else.
    """
    found = body.get(key)
    if found is None or found == {}:
        return None
    if not isinstance(found, dict):
        raise malformed(f"{key} is not an object")
    return found


def malformed(detail: str) -> ProviderError:
    """Return the error for a reply of another shape than documented; asking again would bring the same."""
    return ProviderError("malformed", detail, transient=False)
