"""What the emulated CRMs hold from the start: every company of the world, and a deal at each of them."""

from dataclasses import dataclass, field

from enrichment_dagster.sandbox.crm_links import Links
from enrichment_dagster.sandbox.crm_store import CrmStore
from enrichment_dagster.sandbox.subjects import Company
from enrichment_dagster.sandbox.world import World


@dataclass(slots=True)
class Accounts:
    """Where the companies of the world are found in each CRM: ids by system and index."""

    companies: dict[tuple[str, int], str] = field(default_factory=dict)
    deals: dict[tuple[str, int], str] = field(default_factory=dict)


def seed(world: World, stores: dict[tuple[str, str], CrmStore], links: Links) -> Accounts:
    """Create the records of all companies and deals, as sales people leave them: a name, a website, a stage."""
    made = Accounts()
    for company in world.all_companies:
        made.companies["hubspot", company.index] = _hubspot_company(company, stores)
        made.companies["salesforce", company.index] = _account(company, stores)
        for system in ("hubspot", "salesforce"):
            deal = create_deal(system, company, made.companies[system, company.index], stores, links)
            made.deals[system, company.index] = deal
    return made


def create_deal(
    system: str, company: Company, company_id: str, stores: dict[tuple[str, str], CrmStore], links: Links
) -> str:
    """One more deal or opportunity at a company; returns its id."""
    name = f"{company.name} - new business"
    if system == "salesforce":
        fields = {"Name": name, "StageName": "Prospecting", "CloseDate": "2027-03-31", "AccountId": company_id}
        return stores["salesforce", "opportunity"].create(fields).id
    deal = stores["hubspot", "deal"].create({"dealname": name, "dealstage": "appointmentscheduled"})
    links.put("deal", deal.id, company_id)
    return deal.id


def _hubspot_company(company: Company, stores: dict[tuple[str, str], CrmStore]) -> str:
    return stores["hubspot", "company"].create({"name": company.name, "domain": company.domain}).id


def _account(company: Company, stores: dict[tuple[str, str], CrmStore]) -> str:
    fields = {"Name": company.name, "Website": f"https://www.{company.domain}/"}
    return stores["salesforce", "account"].create(fields).id
