"""The kinds of records that the emulated CRMs hold: what they are called, in which fields, by which ids."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

from enrichment_dagster.sandbox import catalogue
from enrichment_dagster.sandbox.catalogue import CrmField
from enrichment_dagster.sandbox.salesforce_ids import RecordIds

# HubSpot ids are int64; these do not fit int32, as those of a real capture. No two kinds share one here, which is more
# than HubSpot promises.
HUBSPOT_FIRST_IDS = {"contact": 332_507_000_000, "company": 7_654_000_000, "deal": 41_285_000_000}


@dataclass(frozen=True, slots=True)
class CrmKind:
    """One kind of record. `path` is its name in URLs (HubSpot) or in queries (Salesforce)."""

    system: str
    name: str
    path: str
    fields: Mapping[str, CrmField]
    email_field: str = ""
    always: tuple[str, ...] = ()  # what HubSpot shows when nothing is asked for

    def new_ids(self, first: int) -> Callable[[], str]:
        """A source of ids that starts at a number."""
        if self.system == "salesforce":
            return RecordIds(self.path, first)
        numbers = count(HUBSPOT_FIRST_IDS[self.name] + first)
        return lambda: str(next(numbers))


KINDS: Mapping[tuple[str, str], CrmKind] = {
    (kind.system, kind.name): kind
    for kind in (
        CrmKind(
            "hubspot", "contact", "contacts", catalogue.HUBSPOT_CONTACT, "email", ("email", "firstname", "lastname")
        ),
        CrmKind("hubspot", "company", "companies", catalogue.HUBSPOT_COMPANY, always=("name", "domain")),
        CrmKind("hubspot", "deal", "deals", catalogue.HUBSPOT_DEAL, always=("dealname", "dealstage", "amount")),
        CrmKind("salesforce", "lead", "Lead", catalogue.SALESFORCE_LEAD, "Email"),
        CrmKind("salesforce", "contact", "Contact", catalogue.SALESFORCE_CONTACT, "Email"),
        CrmKind("salesforce", "account", "Account", catalogue.SALESFORCE_ACCOUNT),
        CrmKind("salesforce", "opportunity", "Opportunity", catalogue.SALESFORCE_OPPORTUNITY),
    )
}
