"""Apollo: mixed_people/api_search, which is free and therefore tells little.

Shape: Apollo's API reference. Last names are obfuscated, and neither addresses nor phones are given; who wants them
matches the person by its id.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any

import orjson

from enrichment_dagster.sandbox.apollo_wire import PREFIX, ApolloAccount, inputs, rate_headers, refused, texts, whole
from enrichment_dagster.sandbox.subjects import Person, PersonView
from enrichment_dagster.sandbox.vocabulary import LEVELS
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response
from enrichment_dagster.sandbox.world import World

MOST_PER_PAGE = 100
_PATH = "mixed_people/api_search"
_DOMAINS, _SENIORITIES = "q_organization_domains_list", "person_seniorities"


_LEVELS = {level.apollo for level, _ in LEVELS}
_Known = tuple[Person, PersonView]


class ApolloSearch:
    """Finds people by company and seniority among those that Apollo knows."""

    def __init__(self, account: ApolloAccount, world: World) -> None:
        self._account = account
        self._world = world
        self._ready: dict[int, orjson.Fragment] = {}
        self._everybody: dict[frozenset[str] | None, list[_Known]] = {}

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        endpoint = self._account.endpoint("people_search", _PATH, self.search, _subjects)
        return {("POST", PREFIX + _PATH): endpoint}

    def search(self, request: Request) -> Response:
        """POST mixed_people/api_search; without domains it searches everybody."""
        given = inputs(request)
        page, size = whole(given, "page", 1), whole(given, "per_page", 25)
        if page is None or size is None or size > MOST_PER_PAGE:
            return refused(f"page and per_page are positive, per_page at most {MOST_PER_PAGE}.")
        found = self._found(texts(request, _DOMAINS), set(texts(request, _SENIORITIES)))
        shown = found[(page - 1) * size : page * size]
        answer = {
            "total_entries": len(found),
            "people": [self._entry(person, view) for person, view in shown],
            "pagination": pagination(page, size, len(found)),
        }
        return Response(200, orjson.dumps(answer), rate_headers(request))

    def _found(self, domains: list[str], seniorities: set[str]) -> list[_Known]:
        if domains:
            companies = [self._world.company_by_domain(domain) for domain in dict.fromkeys(domains)]
            people = [person for company in companies if company for person in self._world.people_at(company)]
            return _known(people, seniorities or None)
        chosen = frozenset(seniorities & _LEVELS) if seniorities else None
        if chosen not in self._everybody:
            self._everybody[chosen] = _known(self._world.all_people, chosen)
        return self._everybody[chosen]

    def _entry(self, person: Person, view: PersonView) -> orjson.Fragment:
        ready = self._ready.get(person.index)
        if ready is None:
            body = {
                "id": person.key,
                "first_name": person.first_name,
                "last_name_obfuscated": obfuscated(person.last_name),
                "title": view.title,
                "has_email": True,
                "organization": {"name": person.company.name if person.company else None},
            }
            ready = self._ready[person.index] = orjson.Fragment(orjson.dumps(body))
        return ready


def _known(people: Iterable[Person], seniorities: AbstractSet[str] | None) -> list[_Known]:
    """Those whom Apollo knows, of these seniorities; of all when none are named."""
    return [
        (person, person.apollo)
        for person in people
        if person.apollo
        and (seniorities is None or (person.apollo.level and person.apollo.level.apollo in seniorities))
    ]


def pagination(page: int, size: int, total: int) -> dict[str, Any]:
    """Apollo's description of a page."""
    return {"page": page, "per_page": size, "total_entries": total, "total_pages": -(-total // size)}


def obfuscated(name: str) -> str:
    """A last name as a free search shows it: `Re***s`."""
    return f"{name[:2]}***{name[-1:]}"


def _subjects(request: Request) -> tuple[str, ...]:
    return tuple(domain.lower() for domain in texts(request, _DOMAINS))
