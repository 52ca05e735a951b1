"""People Data Labs: company/enrich.

Source: People Data Labs' OpenAPI, where a company's fields stand at the top of the reply; they are read inside ``data``
as well, where a person's stand. The inferred revenue is a range, which is no number and is passed over.
"""

from __future__ import annotations

from enrichment_dagster.http import Reply
from enrichment_dagster.ports import Answer, Query
from enrichment_dagster.providers.extract import Paths
from enrichment_dagster.providers.lookup import by_domain, object_at, object_of
from enrichment_dagster.providers.people_data_labs_wire import MISS, OK, PeopleDataLabsLookup, confidence_of, values_of

_COMPANY: Paths = {
    "display_name": "company_name",
    "name": "company_name",
    "website": "company_domain",
    "industry": "industry",
    "employee_count": "employees",
    "employee_growth_rate.12_month": "employee_growth",
    "total_funding_raised": "total_funding",
    "latest_funding_stage": "funding_stage",
    "founded": "founded_year",
    "location.locality": "company_city",
    "location.region": "company_state",
    "location.country": "company_country",
    "linkedin_url": "company_linkedin_url",
}


class PeopleDataLabsCompany(PeopleDataLabsLookup):
    """``people_data_labs.company``: a company by its domain."""

    purpose = "company"
    gives = frozenset(_COMPANY.values())

    def subject(self, query: Query) -> str | None:
        """Return the key of the company's domain."""
        return by_domain(query)

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        path, params = "/v5/company/enrich", {"website": query.domain or ""}
        return await self.client.request("GET", path, params=params, timeout_seconds=timeout_seconds, accept=(OK, MISS))

    def _read(self, reply: Reply) -> Answer:
        if reply.status == MISS:
            return Answer((), "", MISS)
        body = object_of(reply)
        return Answer(values_of(object_at(body, "data") or body, _COMPANY, confidence_of(body)))
