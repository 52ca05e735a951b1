"""Creating records in the emulated CRMs from outside, as forms, imports, sales people and other API clients do.

Nothing of it is counted or logged. People and companies are those of the world, by index.
"""

from collections.abc import Callable, Mapping
from typing import Any

from enrichment_dagster.sandbox.crm_kinds import KINDS
from enrichment_dagster.sandbox.crm_seed import create_deal
from enrichment_dagster.sandbox.crm_store import Record
from enrichment_dagster.sandbox.hubspot import as_strings
from enrichment_dagster.sandbox.state import SandboxState
from enrichment_dagster.sandbox.subjects import Company, Person
from enrichment_dagster.sandbox.wire import Request

MAX_BULK = 100_000
Place = tuple[str, str]

CRM_PATHS: Mapping[str, Place] = {
    "hubspot/contacts": ("hubspot", "contact"),
    "hubspot/companies": ("hubspot", "company"),
    "hubspot/deals": ("hubspot", "deal"),
    "salesforce/leads": ("salesforce", "lead"),
    "salesforce/contacts": ("salesforce", "contact"),
    "salesforce/accounts": ("salesforce", "account"),
    "salesforce/opportunities": ("salesforce", "opportunity"),
}
_ACCOUNT = {"hubspot": "company", "salesforce": "account"}
_DEALS = ("deal", "opportunity")


class ControlError(ValueError):
    """The control request makes no sense; the text says why."""


class CrmControl:
    """Creates records in one sandbox."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._next_person: dict[Place, int] = {}

    def reset(self) -> None:
        """Back to the records of the start; people are taken from the first one again."""
        self._state.clear_crm()
        self._next_person.clear()

    def creating(self, place: Place) -> Callable[[Request], dict[str, Any]]:
        """The call that creates records of a kind."""
        return lambda request: self._create(place, request.json_object)

    def _create(self, place: Place, body: dict[str, Any]) -> dict[str, Any]:
        """Create records.

        Body, for people: {"properties": {...}}, {"person": index}, {"count": n}, or properties together with one of
        the others; "associate": true links HubSpot contacts to their company (Salesforce contacts always are). For
        companies: {"properties": {...}}. For deals: {"company": index}, with properties or without. The answer lists
        the records, of each the id of its company; of a single one the fields also stand at the top.
        """
        properties = body.get("properties") or {}
        if not isinstance(properties, dict):
            raise ControlError("properties is an object")
        unknown = sorted(set(properties) - set(KINDS[place].fields))
        if unknown:
            raise ControlError(f"{' '.join(place)} has no field {', '.join(unknown)}")
        if place[1] in _DEALS:
            made = [self._create_deal(place, body.get("company"), properties)]
        else:
            chosen = self._chosen(place, body)
            associate = body.get("associate") is True or place == ("salesforce", "contact")
            made = [self._create_one(place, index, properties, associate=associate) for index in chosen]
        return {**made[0], "records": made} if len(made) == 1 else {"records": made}

    def _chosen(self, place: Place, body: dict[str, Any]) -> list[int | None]:
        """The people to create records for; None for one that is given by its properties alone."""
        of_people = place[1] != _ACCOUNT[place[0]]
        if "person" in body and of_people:
            if not isinstance(body["person"], int):
                raise ControlError("person is an index into the world")
            return [body["person"]]
        if "count" not in body or not of_people:
            if not body.get("properties"):
                raise ControlError("give properties, person or count")
            return [None]
        count = body["count"]
        if not isinstance(count, int) or not 1 <= count <= MAX_BULK:
            raise ControlError(f"count is a number from 1 to {MAX_BULK}")
        first = self._next_person.get(place, 0)
        self._next_person[place] = first + count
        return list(range(first, first + count))

    def _create_one(
        self, place: Place, index: int | None, properties: dict[str, Any], *, associate: bool
    ) -> dict[str, Any]:
        person = None if index is None else self._state.world.person(index)
        fields = (_typed_form(place, person) if person else {}) | properties
        company = person.company if person and associate else None
        company_id = self._state.accounts.companies[place[0], company.index] if company else None
        if company_id and place == ("salesforce", "contact"):
            fields.setdefault("AccountId", company_id)
        record = self._stored(place, fields)
        if company_id and place == ("hubspot", "contact"):
            self._state.links.put("contact", record.id, company_id)
        email, employer = ("email", "company") if place[0] == "hubspot" else ("Email", "Company")
        return {
            "id": record.id,
            "email": record.fields.get(email),
            "company": record.fields.get(employer),
            "person": person.index if person else None,
            "company_id": company_id,
            "created_ms": record.created_ms,
        }

    def _create_deal(self, place: Place, index: Any, properties: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(index, int) or not 0 <= index < len(self._state.world.all_companies):
            raise ControlError("company is an index into the world")
        company: Company = self._state.world.all_companies[index]
        company_id = self._state.accounts.companies[place[0], index]
        deal_id = create_deal(place[0], company, company_id, self._state.stores, self._state.links)
        record = self._state.stores[place].records[deal_id]
        record.fields.update(as_strings(properties) if place[0] == "hubspot" else properties)
        return {"id": deal_id, "company_id": company_id, "domain": company.domain, "created_ms": record.created_ms}

    def _stored(self, place: Place, fields: dict[str, Any]) -> Record:
        return self._state.stores[place].create(as_strings(fields) if place[0] == "hubspot" else fields)


def _typed_form(place: Place, person: Person) -> dict[str, Any]:
    """What a person types into a form: name, address, employer."""
    if place[0] == "hubspot":
        return {
            "email": person.email,
            "firstname": person.first_name,
            "lastname": person.last_name,
            "company": person.typed_company,
        }
    named = {"Email": person.email, "FirstName": person.first_name, "LastName": person.last_name}
    return named if place[1] == "contact" else {**named, "Company": person.typed_company, "LeadSource": "Web"}
