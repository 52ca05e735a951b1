"""What all lookups share: the terms from the configuration, and reading an answer's object with care."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

from enrichment_dagster.domain.keys import domain_subject, email_subject
from enrichment_dagster.domain.quota import Quota
from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, Reply
from enrichment_dagster.ports import Answer, CachePolicy, Charge, Pending, Query

_SUCCESS = range(200, 300)
_ERRORS = ("error", "errors", "error_code", "error_message")
_Read = TypeVar("_Read", bound=Answer | Pending)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the configuration says of a lookup: price, when it is due, patience, memory, and what only some need."""

    price_micros: int
    charge: Charge
    timeout_seconds: float
    cache: CachePolicy | None = None
    values: Mapping[str, str] = field(default_factory=dict)  # our field: JMESPath, where the answer's form is ours
    confidence: float = 0.7  # of such values
    model: str = ""  # of an AI provider


@dataclass(frozen=True)
class HttpLookup(ABC):
    """What every lookup over HTTP shares: its client, its terms, and a plain refusal of what few vendors offer."""

    max_units: ClassVar[int] = 1
    bulk_size: ClassVar[int] = 1
    calls_back: ClassVar[bool] = False
    slow: ClassVar[bool] = False

    client: RemoteClient = field(repr=False)
    terms: Terms

    @property
    @abstractmethod
    def provider(self) -> str:
        """Return the provider's name, the one that provenance shows."""

    @property
    @abstractmethod
    def purpose(self) -> str:
        """Return what is asked, e.g. "person" or "company"."""

    @property
    @abstractmethod
    def gives(self) -> frozenset[str]:
        """Return the catalogue fields that an answer may fill."""

    @property
    def name(self) -> str:
        """Return the name that plans use, ``<provider>.<purpose>``."""
        return f"{self.provider}.{self.purpose}"

    @property
    def price_micros(self) -> int:
        """Return the price of one unit of a charged call."""
        return self.terms.price_micros

    @property
    def charge(self) -> Charge:
        """Return when the price is due."""
        return self.terms.charge

    @property
    def timeout_seconds(self) -> float:
        """Return the longest that one call may take."""
        return self.terms.timeout_seconds

    @property
    def cache(self) -> CachePolicy | None:
        """Return how long answers are remembered, or None for the general policy."""
        return self.terms.cache

    @abstractmethod
    def subject(self, query: Query) -> str | None:
        """Return the subject key that the answer belongs to, or None if the query lacks what this lookup needs."""

    @abstractmethod
    async def fetch(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Answer | Pending:
        """Make one call, without retries.

        Raises:
            ProviderError: no reply, a status that is no answer, or a body of another shape than documented.
        """

    def require_subject(self, query: Query) -> None:
        """Make sure that the query has what the lookup needs.

        Raises:
            ProviderError: it lacks something; nothing was sent.
        """
        if self.subject(query) is None:
            raise ProviderError("incomplete_query", transient=False, maybe_sent=False)

    def unless_error(self, answer: _Read, reply: Reply) -> _Read:
        """Return what a reply was read as, unless it is empty because the reply is an error with a success's status.

        Raises:
            ProviderError: ``error_in_reply``; as an answer it would be remembered as "nothing known".
        """
        is_empty = isinstance(answer, Answer) and not answer.is_hit
        if is_empty and reply.status in _SUCCESS and _says_error(reply.body):
            detail = self.client.refusal(reply).detail
            raise ProviderError("error_in_reply", detail, transient=False, http_status=reply.status)
        return answer

    async def fetch_many(self, queries: Sequence[Query], timeout_seconds: float) -> Sequence[Answer | ProviderError]:
        """Ask for several subjects in one call; a vendor with a ``bulk_size`` overrides this.

        Raises:
            ProviderError: there is no such call.
        """
        del queries, timeout_seconds
        raise ProviderError("no_bulk_call", transient=False, maybe_sent=False)

    async def poll(self, request_id: str, query: Query, timeout_seconds: float) -> Answer | Pending:
        """Ask again for a pending result. Most vendors want the same request again; others override this."""
        del request_id
        return await self.fetch(query, timeout_seconds)

    def read_callback(self, body: Any) -> Answer | Pending:
        """Read what the vendor sent to the callback URL; a vendor that ``calls_back`` overrides this.

        Raises:
            ProviderError: this vendor does not call back, or the body is not of the documented shape.
        """
        del body
        raise ProviderError("no_callback", transient=False)


class VendorLookup(HttpLookup):
    """A lookup of which a vendor's class says all: what it gives, what it asks and how it reads the reply."""

    provider: ClassVar[str]
    purpose: ClassVar[str]
    gives: ClassVar[frozenset[str]]

    @abstractmethod
    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        """Send the request."""

    @abstractmethod
    def _read(self, reply: Reply) -> Answer | Pending:
        """Return what the reply says, in our field names."""

    def quota(self, reply: Reply) -> Quota | None:
        """Return what the reply's headers say of the rate limit; a vendor that says something overrides this."""
        del reply
        return None

    async def fetch(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Answer | Pending:
        """Make one call, without retries. A vendor that calls back overrides this.

        Raises:
            ProviderError: no reply, a status that is no answer, or a body of another shape than documented.
        """
        del callback_url
        self.require_subject(query)
        reply = await self._ask(query, timeout_seconds)
        return replace(self.unless_error(self._read(reply), reply), quota=self.quota(reply))


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


def _says_error(body: Any) -> bool:
    return isinstance(body, dict) and any(body.get(name) for name in _ERRORS)


def malformed(detail: str) -> ProviderError:
    """Return the error for a reply of another shape than documented; asking again would bring the same."""
    return ProviderError("malformed", detail, transient=False)
