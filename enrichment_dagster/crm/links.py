"""Where a record's company stands: in a field; in a CRM that keeps associations, under a name that no property has."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

HUBSPOT_COMPANY = "@company"
"""Stands for the company that a HubSpot record is associated with; HubSpot's names hold letters, digits and _ only."""

COMPANY_LINKS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("hubspot", "contact"): HUBSPOT_COMPANY,
        ("hubspot", "deal"): HUBSPOT_COMPANY,
        ("salesforce", "contact"): "AccountId",
        ("salesforce", "opportunity"): "AccountId",
    }
)
