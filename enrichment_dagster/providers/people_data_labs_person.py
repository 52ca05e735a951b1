"""People Data Labs: person/enrich and person/bulk.

Source: People Data Labs' OpenAPI. The bulk reply is a list with a status for each row. A company's size here is a range
("501-1000"), which is no number and is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

from enrichment_dagster.http import Reply
from enrichment_dagster.ports import Answer, Query
from enrichment_dagster.providers.bulk import BulkLookup, Result, missing_row, objects_in, read_row, refused_row
from enrichment_dagster.providers.extract import Paths, Row, value_at
from enrichment_dagster.providers.lookup import by_email, malformed, object_at, object_of
from enrichment_dagster.providers.people_data_labs_wire import MISS, OK, PeopleDataLabsLookup, confidence_of, values_of

_PERSON: Paths = {
    "work_email": "email",
    "first_name": "first_name",
    "last_name": "last_name",
    "job_title": "title",
    "job_title_levels.0": "seniority",
    "mobile_phone": "phone",
    "location_locality": "city",
    "location_region": "state",
    "location_country": "country",
    "linkedin_url": "linkedin_url",
    "twitter_url": "twitter_url",
    "job_company_name": "company_name",
    "job_company_website": "company_domain",
    "job_company_industry": "industry",
}


class PeopleDataLabsPerson(PeopleDataLabsLookup, BulkLookup):
    """``people_data_labs.person``: a person by e-mail."""

    purpose = "person"
    gives = frozenset(_PERSON.values())
    bulk_size = 100

    def subject(self, query: Query) -> str | None:
        """Return the key of the person's e-mail."""
        return by_email(query)

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        path, params = "/v5/person/enrich", {"email": query.email or ""}
        return await self.client.request("GET", path, params=params, timeout_seconds=timeout_seconds, accept=(OK, MISS))

    def _read(self, reply: Reply) -> Answer:
        return Answer((), "", MISS) if reply.status == MISS else _person(object_of(reply))

    async def _ask_many(self, queries: Sequence[Query], timeout_seconds: float) -> Reply:
        requests = [{"params": {"email": q.email}, "metadata": {"query": str(n)}} for n, q in enumerate(queries)]
        body = {"requests": requests}
        return await self.client.request("POST", "/v5/person/bulk", json=body, timeout_seconds=timeout_seconds)

    def _read_many(self, queries: Sequence[Query], reply: Reply) -> Sequence[Result]:
        """Find each query's row by the metadata that was sent with it and comes back."""
        if not isinstance(reply.body, list):
            raise malformed("the reply is not a list")
        rows = {value_at(row, "metadata.query"): row for row in objects_in(reply.body) if _is_named(row)}
        return [self._result(rows.get(str(number))) for number in range(len(queries))]

    def _result(self, row: Row | None) -> Result:
        if row is None:
            return missing_row()
        status = row.get("status")
        if status == MISS:
            return Answer((), "", MISS)
        if status == OK:
            return read_row(_person, row)
        return refused_row(self.client, status, row) if type(status) is int else malformed("status is not a number")


def _person(body: Row) -> Answer:
    return Answer(values_of(object_at(body, "data") or {}, _PERSON, confidence_of(body)))


def _is_named(row: Row) -> bool:
    return isinstance(value_at(row, "metadata.query"), str)
