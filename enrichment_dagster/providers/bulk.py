"""Lookups that ask for many subjects in one call, and what their vendors' rows have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import RemoteClient, Reply
from enrichment_dagster.ports import Answer, Query
from enrichment_dagster.providers.extract import Row
from enrichment_dagster.providers.lookup import VendorLookup, malformed

Result = Answer | ProviderError


class BulkLookup(VendorLookup):
    """A lookup with a bulk call. The vendor's class sets ``bulk_size``, and finds each query's row in the reply."""

    @abstractmethod
    async def _ask_many(self, queries: Sequence[Query], timeout_seconds: float) -> Reply:
        """Send one request for all of them; their subjects differ."""

    @abstractmethod
    def _read_many(self, queries: Sequence[Query], reply: Reply) -> Sequence[Result]:
        """Return what the reply says of each query, in the order of the queries."""

    async def fetch_many(self, queries: Sequence[Query], timeout_seconds: float) -> Sequence[Result]:
        """Ask for up to ``bulk_size`` subjects in one call; each subject is sent and paid once.

        Raises:
            ProviderError: the whole call failed, or there are too many subjects; nothing is sent then.
        """
        subjects = [self.subject(query) for query in queries]
        wanted = {key: query for key, query in zip(subjects, queries, strict=True) if key is not None}
        if len(wanted) > self.bulk_size:
            raise ProviderError("request_too_large", transient=False, maybe_sent=False)
        found = await self._fetch_distinct(wanted, timeout_seconds) if wanted else {}
        return [_incomplete() if key is None else found[key] for key in subjects]

    async def _fetch_distinct(self, wanted: Mapping[str, Query], timeout_seconds: float) -> dict[str, Result]:
        queries = list(wanted.values())
        reply = await self._ask_many(queries, timeout_seconds)
        results, quota = self._read_many(queries, reply), self.quota(reply)
        told = [replace(result, quota=quota) if isinstance(result, Answer) else result for result in results]
        return dict(zip(wanted, told, strict=True))


def _incomplete() -> ProviderError:
    return ProviderError("incomplete_query", transient=False, maybe_sent=False)


def rows_at(body: Mapping[str, Any], key: str) -> list[Any]:
    """Return the list under a key.

    Raises:
        ProviderError: there is none; to take that for "nothing found" would be remembered as many misses.
    """
    rows = body.get(key)
    if not isinstance(rows, list):
        raise malformed(f"{key} is not a list")
    return rows


def objects_in(rows: Sequence[Any]) -> list[Row]:
    """Return the rows that can be read."""
    return [row for row in rows if isinstance(row, dict)]


def no_row(rows: Sequence[Any], miss: Answer) -> Result:
    """Return what a query without a row got from a vendor that leaves out what it does not know.

    A row that can't be read may have been the query's: then nobody can say that the vendor knows nothing.
    """
    odd = any(row is not None and not isinstance(row, dict) for row in rows)
    return malformed("a row is not an object") if odd else miss


def missing_row() -> ProviderError:
    """Return the error for a row that a vendor owed us: it answers for each subject, but did not for this one."""
    return ProviderError("missing_row", "the reply lacks a subject that was asked for", transient=True)


def read_row(read: Callable[[Row], Answer], row: Row) -> Result:
    """Return what a row says; one that can't be read spoils no other."""
    try:
        return read(row)
    except ProviderError as error:
        return error


def refused_row(client: RemoteClient, status: int, row: Row) -> ProviderError:
    """Return the error that the status of a single row stands for."""
    error = client.refusal(Reply(status, {}, row))
    return ProviderError(error.reason, error.detail, transient=error.transient, http_status=status)
