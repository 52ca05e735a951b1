"""Apollo: news_articles/search, a credit for each page of 25 articles.

Shape and filters: Apollo's API reference. The headlines are made up; about four companies in ten have none.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import orjson

from enrichment_dagster.sandbox.apollo_search import pagination
from enrichment_dagster.sandbox.apollo_wire import PREFIX, ApolloAccount, inputs, rate_headers, refused, texts, whole
from enrichment_dagster.sandbox.chance import hex_id
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.subjects import Company
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response
from enrichment_dagster.sandbox.world import World

PER_PAGE = 25
WITHOUT_NEWS = 0.4
OF_COMPANY_0 = 30
_DAYS = 180
_PATH = "news_articles/search"
_SITE = "news.example.com"
_HEADLINES = (
    ("hires", "{name} appoints a new head of {word}", "Industry veteran joins {name} to lead {word}."),
    (
        "investment",
        "{name} raises {number} million in new funding",
        "The round lets {name} expand its {word} business.",
    ),
    ("contract", "{name} wins a {number} million contract", "{name} will deliver {word} over three years."),
)
_WORDS = ("operations", "sales", "services", "engineering", "finance", "products")


@dataclass(frozen=True, slots=True)
class Article:
    """One article, ready to send."""

    day: str
    category: str
    body: orjson.Fragment


class ApolloNews:
    """Answers with the news of the companies that Apollo knows."""

    def __init__(self, account: ApolloAccount, config: SandboxConfig, world: World) -> None:
        self._account = account
        self._seed = config.seed
        self._until = config.news_until or datetime.now(UTC).date()
        self._known = {company.key: company for company in world.all_companies if company.apollo_knows}
        self._ready: dict[int, list[Article]] = {}

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        endpoint = self._account.endpoint("news_search", _PATH, self.search, _subjects)
        return {("POST", PREFIX + _PATH): endpoint}

    def search(self, request: Request) -> Response:
        """POST news_articles/search, newest first; an empty page costs nothing."""
        given = inputs(request)
        asked, page = texts(request, "organization_ids"), whole(given, "page", 1)
        if not asked or page is None:
            return refused("Please provide organization_ids and a positive page.")
        found = self._found(asked, given, set(texts(request, "categories")))
        shown = found[(page - 1) * PER_PAGE : page * PER_PAGE]
        answer = {
            "pagination": pagination(page, PER_PAGE, len(found)),
            "news_articles": [article.body for article in shown],
        }
        headers = rate_headers(request)
        return Response(200, orjson.dumps(answer), headers, billed=(",".join(asked),) if shown else ())

    def _found(self, asked: list[str], given: dict[str, Any], categories: set[str]) -> list[Article]:
        span = given.get("published_at")
        limits = span if isinstance(span, dict) else {}
        first = str(limits.get("min") or given.get("published_at[min]") or "")[:10]
        last = str(limits.get("max") or given.get("published_at[max]") or "9999")[:10]
        articles = [
            article
            for company in map(self._known.get, dict.fromkeys(asked))
            if company
            for article in self._articles(company)
            if first <= article.day <= last and (not categories or article.category in categories)
        ]
        return sorted(articles, key=lambda article: article.day, reverse=True)

    def _articles(self, company: Company) -> list[Article]:
        ready = self._ready.get(company.index)
        if ready is None:
            ready = self._ready[company.index] = _write(company, self._seed, self._until)
        return ready


def _write(company: Company, seed: int, until: date) -> list[Article]:
    """The news of one company, newest first: none, a few, or (seldom) more than a page."""
    rng = Random(f"sandbox-news:{seed}:{company.index}")
    count = 0 if rng.random() < WITHOUT_NEWS else 1 + int(rng.random() ** 4 * 40)
    if company.index == 0:
        count = OF_COMPANY_0
    ages = sorted(rng.randrange(_DAYS) for _ in range(count))
    return [
        _article(company, hex_id("news", seed, company.index, n), until - timedelta(age), rng)
        for n, age in enumerate(ages)
    ]


def _article(company: Company, article_id: str, day: date, rng: Random) -> Article:
    category, title, snippet = rng.choice(_HEADLINES)
    parts = {"name": company.name, "word": rng.choice(_WORDS), "number": rng.randint(2, 90)}
    body = {
        "id": article_id,
        "title": title.format(**parts),
        "url": f"https://{_SITE}/{article_id}",
        "domain": _SITE,
        "snippet": snippet.format(**parts),
        "published_at": f"{day.isoformat()}T{rng.randrange(6, 20):02d}:00:00.000Z",
        "event_categories": [category],
        "organization_id": company.key,
        "organization_ids": [company.key],
    }
    return Article(day.isoformat(), category, orjson.Fragment(orjson.dumps(body)))


def _subjects(request: Request) -> tuple[str, ...]:
    return tuple(texts(request, "organization_ids"))
