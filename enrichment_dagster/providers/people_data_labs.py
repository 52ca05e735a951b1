"""People Data Labs: its lookups and how it is reached.

Source: People Data Labs' documentation of errors and headers. 404 is a miss and free, 402 means that there are no
credits left, a throttled call is told no time to wait.
"""

from __future__ import annotations

from enrichment_dagster.providers.people_data_labs_company import PeopleDataLabsCompany
from enrichment_dagster.providers.people_data_labs_person import PeopleDataLabsPerson
from enrichment_dagster.providers.people_data_labs_wire import connect

__all__ = ["LOOKUPS", "connect"]

LOOKUPS = {"person": PeopleDataLabsPerson, "company": PeopleDataLabsCompany}
