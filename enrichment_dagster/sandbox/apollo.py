"""Apollo: people/match and organizations/enrich; the other calls stand in modules of their own.

Shapes and errors: Apollo OpenAPI. The body of a miss is not documented; this one answers `person: null`, as clients
report.
"""

from typing import Any
from zlib import crc32

from enrichment_dagster.sandbox.apollo_bodies import IDENTIFYING, ApolloBodies, subject_of
from enrichment_dagster.sandbox.apollo_bulk import ApolloBulk
from enrichment_dagster.sandbox.apollo_news import ApolloNews
from enrichment_dagster.sandbox.apollo_phone import ApolloPhones
from enrichment_dagster.sandbox.apollo_search import ApolloSearch
from enrichment_dagster.sandbox.apollo_usage import ApolloUsage
from enrichment_dagster.sandbox.apollo_wire import PREFIX, ApolloAccount, inputs, rate_headers, refused
from enrichment_dagster.sandbox.state import SandboxState
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response

_PEOPLE_PATH = "people/match"
_ORGANIZATION_PATH = "organizations/enrich"


def apollo_routes(state: SandboxState) -> dict[tuple[str, str], Endpoint]:
    """Method and path of every Apollo call."""
    account, bodies = ApolloAccount(state.config), ApolloBodies(state.world)
    phones = ApolloPhones(state.config, state.world, account, state.callbacks, state.counters)
    return {
        **Apollo(account, bodies, phones).routes(),
        **ApolloBulk(account, bodies).routes(),
        **ApolloSearch(account, state.world).routes(),
        **ApolloNews(account, state.config, state.world).routes(),
        **phones.routes(),
        **ApolloUsage(account, state.counters).routes(),
    }


class Apollo:
    """Answers Apollo's enrichment of one person or one company from the world."""

    def __init__(self, account: ApolloAccount, bodies: ApolloBodies, phones: ApolloPhones) -> None:
        self._account = account
        self._bodies = bodies
        self._phones = phones

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        return {
            ("POST", PREFIX + _PEOPLE_PATH): self._account.endpoint(
                "people_match", _PEOPLE_PATH, self.match, lambda request: (subject_of(inputs(request)),)
            ),
            ("GET", PREFIX + _ORGANIZATION_PATH): self._account.endpoint(
                "organization_enrich", _ORGANIZATION_PATH, self.organization, _domain_subject
            ),
        }  # fmt: skip

    def match(self, request: Request) -> Response:
        """POST people/match: a miss is 200 as well. A phone that is asked for comes later, to `webhook_url`."""
        given = inputs(request)
        person = self._bodies.find(given)
        if person is None and not any(given.get(name) for name in IDENTIFYING):
            return refused("Please provide at least one identifying parameter.")
        known = self._bodies.person(person)
        if str(given.get("reveal_phone_number", "")).lower() == "true":
            problem = self._phones.problem(given)
            if problem is not None:
                return refused(problem)
            request_id = self._phones.order(given, person if known else None)
        else:
            request_id = _request_id(given)
        headers = rate_headers(request)
        if person is None or known is None:
            return Response(200, b'{"person":null,"request_id":%d}' % request_id, headers)
        return Response(200, b'{"person":%b,"request_id":%d}' % (known, request_id), headers, billed=(person.email,))

    def organization(self, request: Request) -> Response:
        """GET organizations/enrich?domain=."""
        domain = request.query.get("domain", "")
        if not domain:
            return refused("Please provide a domain.")
        headers = rate_headers(request)
        company = self._bodies.world.company_by_domain(domain)
        known = self._bodies.organization(company)
        if company is None or known is None:
            return Response(200, b'{"organization":null}', headers)
        return Response(200, b'{"organization":%b}' % known, headers, billed=(company.domain,))


def _domain_subject(request: Request) -> tuple[str, ...]:
    return (request.query.get("domain", "").lower(),)


def _request_id(given: dict[str, Any]) -> int:
    """A signed 64-bit number, negative as Apollo's own examples often are."""
    return -(crc32(repr(sorted(given.items())).encode()) * 1_639_242_011 + 1)
