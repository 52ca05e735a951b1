"""Apollo: people/bulk_match and organizations/bulk_enrich, ten at a time.

Shapes: Apollo OpenAPI. `status` is "success" even when nobody was found. Matches stand in another order than the
details, with null for who is unknown, as clients report; unknown organizations are left out. `reveal_phone_number`
is refused here: phones are emulated for people/match only.
"""

from collections.abc import Iterable
from typing import Any, TypeVar
from zlib import crc32

import orjson

from enrichment_dagster.sandbox.apollo_bodies import ApolloBodies, subject_of
from enrichment_dagster.sandbox.apollo_wire import (
    MOST_IN_BULK,
    PREFIX,
    ApolloAccount,
    inputs,
    over_limit,
    rate_headers,
    refused,
    texts,
)
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response

_PEOPLE_PATH = "people/bulk_match"
_ORGANIZATIONS_PATH = "organizations/bulk_enrich"
_Item = TypeVar("_Item", str, dict[str, Any])


class ApolloBulk:
    """Answers Apollo's bulk calls from the world."""

    def __init__(self, account: ApolloAccount, bodies: ApolloBodies) -> None:
        self._account = account
        self._bodies = bodies

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call."""
        return {
            ("POST", PREFIX + _PEOPLE_PATH): self._account.endpoint(
                "people_bulk_match", _PEOPLE_PATH, self.people, _people_subjects
            ),
            ("POST", PREFIX + _ORGANIZATIONS_PATH): self._account.endpoint(
                "organization_bulk_enrich", _ORGANIZATIONS_PATH, self.organizations, _domains
            ),
        }  # fmt: skip

    def people(self, request: Request) -> Response:
        """POST people/bulk_match {"details": [...]}; somebody who is asked for twice costs one credit."""
        details = _details(request)
        if not details:
            return refused("Please provide details of at least one person.")
        if len(details) > MOST_IN_BULK:
            return over_limit()
        if str(inputs(request).get("reveal_phone_number", "")).lower() == "true":
            return refused("This sandbox reveals phone numbers in people/match only.")
        found = [self._bodies.find(detail) for detail in _shuffled(details)]
        known = [self._bodies.person(person) for person in found]
        emails = {person.email for person, body in zip(found, known, strict=True) if person and body}
        answer = {
            "status": "success",
            "error_code": None,
            "error_message": None,
            "total_requested_enrichments": len(details),
            "unique_enriched_records": len(emails),
            "missing_records": known.count(None),
            "credits_consumed": len(emails),
            "matches": [None if body is None else orjson.Fragment(body) for body in known],
        }
        return Response(200, orjson.dumps(answer), rate_headers(request), billed=tuple(sorted(emails)))

    def organizations(self, request: Request) -> Response:
        """POST organizations/bulk_enrich with `domains[]`."""
        domains = _domains(request)
        if not domains:
            return refused("Please provide at least one domain.")
        if len(domains) > MOST_IN_BULK:
            return over_limit()
        companies = [self._bodies.world.company_by_domain(domain) for domain in _shuffled(set(domains))]
        known = {
            company.domain: body for company in companies if company and (body := self._bodies.organization(company))
        }
        unique = len({domain.removeprefix("www.") for domain in domains})
        answer = {
            "status": "success",
            "error_code": None,
            "error_message": None,
            "total_requested_records": None,
            "total_requested_domains": len(domains),
            "unique_domains": unique,
            "unique_records": None,
            "unique_enriched_records": len(known),
            "missing_records": unique - len(known),
            "organizations": [orjson.Fragment(body) for body in known.values()],
        }
        headers = rate_headers(request)
        return Response(200, orjson.dumps(answer), headers, billed=tuple(known))


def _shuffled(items: Iterable[_Item]) -> list[_Item]:
    """The items in an order that looks like chance and is always the same."""
    return sorted(items, key=lambda item: crc32(str(item).encode()))


def _details(request: Request) -> list[dict[str, Any]]:
    details = request.json_object.get("details")
    return [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []


def _people_subjects(request: Request) -> tuple[str, ...]:
    return tuple(subject_of(detail) for detail in _details(request))


def _domains(request: Request) -> tuple[str, ...]:
    return tuple(domain.strip().lower() for domain in texts(request, "domains"))
