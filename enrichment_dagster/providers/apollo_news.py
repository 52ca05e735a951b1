"""Apollo: news about a company.

Source: Apollo's API reference. Articles are asked for by Apollo's id of the organization; where no earlier answer has
told it, the organization is enriched first. Both cost a credit: a page of up to 25 articles, and the organization.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.http import Reply
from enrichment_dagster.ports import Answer, Query, RawValue
from enrichment_dagster.providers.apollo_wire import (
    COMPANY_CONFIDENCE,
    ORGANIZATION_ID,
    ApolloLookup,
    ids_of,
    request_id_of,
)
from enrichment_dagster.providers.bulk import objects_in, rows_at
from enrichment_dagster.providers.extract import Row, texts_of, value_at
from enrichment_dagster.providers.lookup import by_domain, object_at, object_of
from enrichment_dagster.providers.patience import Patience

_PAGE = 25  # what one credit buys


class ApolloNews(ApolloLookup):
    """``apollo.news``: the newest articles about a company."""

    purpose = "news"
    gives = frozenset({"news"})
    max_units = 2

    def subject(self, query: Query) -> str | None:
        """Return the key of the company's domain."""
        return by_domain(query)

    async def fetch(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Answer:
        """Ask for the articles, if need be after the organization's id; ``Answer.units`` counts both.

        Raises:
            ProviderError: one of the calls failed.
        """
        del callback_url
        self.require_subject(query)
        patience = Patience(timeout_seconds)
        if ORGANIZATION_ID in query.ids:
            return await self._news(query, patience)
        found = await self._organization(query, patience)
        if ORGANIZATION_ID not in found.ids:
            return found
        try:
            news = await self._news(replace(query, ids=found.ids), patience)
        except ProviderError as error:
            error.maybe_sent = True  # whatever became of this call: the one before it is paid
            raise
        return replace(news, units=2, ids=found.ids)

    async def _organization(self, query: Query, patience: Patience) -> Answer:
        path, params = "/api/v1/organizations/enrich", {"domain": query.domain or ""}
        reply = await self.client.request("GET", path, params=params, timeout_seconds=patience.seconds)
        body = object_of(reply)
        ids = ids_of(object_at(body, "organization"))
        answer = Answer((), request_id_of(body), reply.status, ids=ids, quota=self.quota(reply))
        return answer if ids else self.unless_error(answer, reply)

    async def _news(self, query: Query, patience: Patience) -> Answer:
        reply = await self._ask(query, patience.seconds)
        return replace(self._read(reply), quota=self.quota(reply))

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        path, body = "/api/v1/news_articles/search", {"organization_ids": [query.ids[ORGANIZATION_ID]], "page": 1}
        return await self.client.request(
            "POST", path, json={**body, "per_page": _PAGE}, timeout_seconds=timeout_seconds
        )

    def _read(self, reply: Reply) -> Answer:
        body = object_of(reply)
        articles = [entry for entry in map(_entry, objects_in(rows_at(body, "news_articles"))) if "title" in entry]
        values = (RawValue("news", articles, COMPANY_CONFIDENCE),) if articles else ()
        return Answer(values, request_id_of(body), reply.status)


def _entry(article: Row) -> dict[str, str]:
    known: dict[str, Any] = {**article, "category": value_at(article, "event_categories.0")}
    return texts_of(known, ("title", "url", "published_at", "category"))
