"""All calls of the emulated HubSpot."""

from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.crm_kinds import KINDS
from enrichment_dagster.sandbox.crm_links import UNLABELLED, Links
from enrichment_dagster.sandbox.crm_store import CrmStore
from enrichment_dagster.sandbox.hubspot import HubSpotObjects
from enrichment_dagster.sandbox.hubspot_associations import HubSpotAssociations
from enrichment_dagster.sandbox.hubspot_limits import HubSpotLimits
from enrichment_dagster.sandbox.wire import Endpoint


def hubspot_routes(
    config: SandboxConfig, stores: dict[tuple[str, str], CrmStore], links: Links
) -> dict[tuple[str, str], Endpoint]:
    """Method and path of each call."""
    limits = HubSpotLimits(config)
    found: dict[tuple[str, str], Endpoint] = {}
    for place, kind in KINDS.items():
        if kind.system == "hubspot":
            found.update(HubSpotObjects(kind, stores[place], limits).routes())
    for name in UNLABELLED:
        found.update(HubSpotAssociations(name, stores, links, limits).routes())
    return found
