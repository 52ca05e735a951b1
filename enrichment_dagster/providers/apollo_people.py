"""Apollo: who leads a company, and whom to speak to there.

Source: Apollo's API reference. The search is free, shows no addresses and obfuscates last names, so the people that it
finds are matched by their ids; Apollo takes a credit for each that it matches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from enrichment_dagster.http import Reply
from enrichment_dagster.ports import Answer, Query, RawValue
from enrichment_dagster.providers.apollo_wire import PERSON_CONFIDENCE, ApolloLookup, email_of, id_of, request_id_of
from enrichment_dagster.providers.bulk import objects_in, rows_at
from enrichment_dagster.providers.extract import Row, texts_of
from enrichment_dagster.providers.lookup import by_domain, object_of
from enrichment_dagster.providers.patience import Patience

_KEYS = ("name", "title", "seniority", "email", "linkedin_url")


class ApolloPeople(ApolloLookup):
    """People of a company by seniority, up to ``max_units`` of them."""

    seniorities: ClassVar[Sequence[str]]
    field: ClassVar[str]

    def subject(self, query: Query) -> str | None:
        """Return the key of the company's domain."""
        return by_domain(query)

    async def fetch(self, query: Query, timeout_seconds: float, callback_url: str = "") -> Answer:
        """Search, then match whom the search found; ``Answer.units`` is the number of matched people.

        Raises:
            ProviderError: one of the two calls failed.
        """
        del callback_url
        self.require_subject(query)
        patience = Patience(timeout_seconds)
        found = await self._ask(query, patience.seconds)
        ids = [person for person in map(id_of, rows_at(object_of(found), "people")) if person]
        if not ids:
            return Answer((), "", found.status, quota=self.quota(found))
        matched = await self._match(ids[: self.max_units], patience.seconds)
        return replace(self._read(matched), quota=self.quota(matched))

    async def _ask(self, query: Query, timeout_seconds: float) -> Reply:
        body = {
            "q_organization_domains_list": [query.domain],
            "person_seniorities": list(self.seniorities),
            "page": 1,
            "per_page": self.max_units,
        }
        path = "/api/v1/mixed_people/api_search"
        return await self.client.request("POST", path, json=body, timeout_seconds=timeout_seconds)

    async def _match(self, ids: Sequence[str], timeout_seconds: float) -> Reply:
        path, details = "/api/v1/people/bulk_match", [{"id": person} for person in ids]
        body = {"details": details, "reveal_personal_emails": False}
        return await self.client.request("POST", path, json=body, timeout_seconds=timeout_seconds)

    def _read(self, reply: Reply) -> Answer:
        body = object_of(reply)
        people = {id_of(row) or number: row for number, row in enumerate(objects_in(rows_at(body, "matches")))}
        entries = [entry for entry in map(_entry, people.values()) if "name" in entry]
        values = (RawValue(self.field, entries, PERSON_CONFIDENCE),) if entries else ()
        units = max(1, min(len(people), self.max_units))
        return Answer(values, request_id_of(body), reply.status, units)


class ApolloExecutives(ApolloPeople):
    """``apollo.executives``: the heads of a company."""

    purpose = "executives"
    field = "executives"
    gives = frozenset({"executives"})
    max_units = 5
    seniorities = ("owner", "founder", "c_suite", "vp")


class ApolloContacts(ApolloPeople):
    """``apollo.contacts``: people of a company below its heads."""

    purpose = "contacts"
    field = "account_contacts"
    gives = frozenset({"account_contacts"})
    max_units = 10
    seniorities = ("director", "head", "manager", "senior")


def _entry(person: Row) -> dict[str, str]:
    name = person.get("name") or " ".join(texts_of(person, ("first_name", "last_name")).values())
    known: dict[str, Any] = {**person, "name": name, "email": email_of(person)}
    return texts_of(known, _KEYS)
