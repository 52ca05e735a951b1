"""Apollo: people/match and organizations/enrich, one by one and ten at a time.

Source: Apollo's OpenAPI; Apollo's own CLI (apolloio/apollo-io-cli) sends people/match a JSON body. A reply 200 without
a person or organization is a miss: Apollo has no 404 for it. In bulk replies ``status`` is "success" even when nobody
was found, and a credit is taken for each row that was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from enrichment_dagster.http import Reply
from enrichment_dagster.ports import Answer, Query
from enrichment_dagster.providers.apollo_match import match_companies, match_people
from enrichment_dagster.providers.apollo_wire import (
    ORGANIZATION_FIELDS,
    PERSON_FIELDS,
    PERSON_ID,
    ApolloLookup,
    ids_of,
    organization_values,
    person_values,
    request_id_of,
)
from enrichment_dagster.providers.bulk import BulkLookup, Result, no_row, objects_in, rows_at
from enrichment_dagster.providers.extract import Row
from enrichment_dagster.providers.lookup import by_domain, by_email, object_at, object_of


class ApolloPerson(ApolloLookup, BulkLookup):
    """``apollo.person``: a person by e-mail and domain, with their organization."""

    purpose = "person"
    gives = PERSON_FIELDS
    bulk_size = 10

    def subject(self, query: Query) -> str | None:
        """Return the key of the person's e-mail."""
        return by_email(query)

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        body = {**identity(query), "reveal_personal_emails": False}
        return await self.client.request("POST", "/api/v1/people/match", json=body, timeout_seconds=timeout_seconds)

    def _read(self, reply: Reply) -> Answer:
        body = object_of(reply)
        return _person_answer(object_at(body, "person") or {}, request_id_of(body), reply.status)

    async def _ask_many(self, queries: Sequence[Query], timeout_seconds: float) -> Reply:
        path, details = "/api/v1/people/bulk_match", [identity(query) for query in queries]
        body = {"details": details, "reveal_personal_emails": False}
        return await self.client.request("POST", path, json=body, timeout_seconds=timeout_seconds)

    def _read_many(self, queries: Sequence[Query], reply: Reply) -> Sequence[Result]:
        body = object_of(reply)
        rows, request_id = rows_at(body, "matches"), request_id_of(body)
        nobody = no_row(rows, Answer((), request_id, reply.status))
        matched = match_people(queries, objects_in(rows))
        return [nobody if row is None else _person_answer(row, request_id, reply.status) for row in matched]


class ApolloCompany(ApolloLookup, BulkLookup):
    """``apollo.company``: an organization by its domain."""

    purpose = "company"
    gives = ORGANIZATION_FIELDS
    bulk_size = 10

    def subject(self, query: Query) -> str | None:
        """Return the key of the company's domain."""
        return by_domain(query)

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        path, params = "/api/v1/organizations/enrich", {"domain": query.domain or ""}
        return await self.client.request("GET", path, params=params, timeout_seconds=timeout_seconds)

    def _read(self, reply: Reply) -> Answer:
        body = object_of(reply)
        return _company_answer(object_at(body, "organization") or {}, request_id_of(body), reply.status)

    async def _ask_many(self, queries: Sequence[Query], timeout_seconds: float) -> Reply:
        path, body = "/api/v1/organizations/bulk_enrich", {"domains": [query.domain for query in queries]}
        return await self.client.request("POST", path, json=body, timeout_seconds=timeout_seconds)

    def _read_many(self, queries: Sequence[Query], reply: Reply) -> Sequence[Result]:
        body = object_of(reply)
        rows, request_id = rows_at(body, "organizations"), request_id_of(body)
        unknown = no_row(rows, Answer((), request_id, reply.status))
        matched = match_companies(queries, objects_in(rows))
        return [unknown if row is None else _company_answer(row, request_id, reply.status) for row in matched]


def identity(query: Query) -> Mapping[str, Any]:
    """Return how Apollo is told whom we mean."""
    known = {"id": query.ids.get(PERSON_ID), "email": query.email, "domain": query.domain}
    return {name: value for name, value in known.items() if value}


def _person_answer(person: Row, request_id: str, status: int) -> Answer:
    return Answer(person_values(person), request_id, status, ids=ids_of(person.get("organization"), person))


def _company_answer(organization: Row, request_id: str, status: int) -> Answer:
    return Answer(organization_values(organization), request_id, status, ids=ids_of(organization))
