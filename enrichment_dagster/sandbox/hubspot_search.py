"""HubSpot's search: filter groups over the records of one kind, sorted and paged.

Source: HubSpot CRM v3 OpenAPI and the search guide: 3,000 characters, 5 groups of 6 filters and 18 in all, 200 results
a page, 10,000 a query; IN compares with texts in lower case; numbers are searched for in calculated properties.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from enrichment_dagster.sandbox.crm_store import CrmStore, Record, iso_ms

MOST_CHARACTERS = 3_000
MOST_RESULTS = 10_000
_PAGE = 200
_CALCULATED = {
    "hs_searchable_calculated_phone_number": "phone",
    "hs_searchable_calculated_mobile_number": "mobilephone",
}
_COUNTRY_CODES = re.compile(r"\+(1|4[0-9]|3[0-9])")  # of the places of this world


class SearchError(ValueError):
    """The request is not as documented."""


def search(store: CrmStore, body: Mapping[str, Any]) -> tuple[list[Record], int, str]:
    """The records of one page, how many there are in all, and where the next page starts (empty: nowhere)."""
    groups = _groups(body)
    limit, start = body.get("limit", 10), str(body.get("after", "0"))
    if not isinstance(limit, int) or not 0 < limit <= _PAGE or not start.isdigit():
        raise SearchError(f"limit is a number up to {_PAGE}, after one of those that a page named")
    if int(start) + limit > MOST_RESULTS:
        raise SearchError(f"paging ends at {MOST_RESULTS} results")
    found = [record for record in store.records.values() if not groups or any(_fits(record, group) for group in groups)]
    for sort in reversed(body.get("sorts") or []):
        name, descending = sort["propertyName"], sort.get("direction") == "DESCENDING"
        found.sort(key=lambda record: value_of(record, name), reverse=descending)
    end = int(start) + limit
    return found[int(start) : end], len(found), str(end) if end < len(found) else ""


def _groups(body: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    groups = [group.get("filters", []) for group in body.get("filterGroups") or []]
    if len(groups) > 5 or any(len(group) > 6 for group in groups) or sum(map(len, groups)) > 18:
        raise SearchError("at most 5 filterGroups with 6 filters each and 18 in all")
    for one in [one for group in groups for one in group]:
        if one.get("operator") not in _OPERATORS or not isinstance(one.get("propertyName"), str):
            raise SearchError("a filter has a propertyName and a known operator")
    return groups


def value_of(record: Record, name: str) -> str:
    """A property as it is compared."""
    if name in ("createdate", "lastmodifieddate", "hs_lastmodifieddate"):
        return iso_ms(record.created_ms if name == "createdate" else record.updated_ms)
    if name in _CALCULATED:
        return re.sub(r"\D", "", _COUNTRY_CODES.sub("", str(record.fields.get(_CALCULATED[name]) or ""), count=1))
    return str(record.fields.get(name) or "")


def _fits(record: Record, group: list[Mapping[str, Any]]) -> bool:
    return all(_OPERATORS[one["operator"]](value_of(record, one["propertyName"]), one) for one in group)


_OPERATORS: dict[str, Callable[[str, Mapping[str, Any]], bool]] = {
    "EQ": lambda stored, one: stored.lower() == str(one.get("value")).lower(),
    "NEQ": lambda stored, one: stored.lower() != str(one.get("value")).lower(),
    "IN": lambda stored, one: stored.lower() in one.get("values", ()),
    "NOT_IN": lambda stored, one: stored.lower() not in one.get("values", ()),
    "HAS_PROPERTY": lambda stored, _: bool(stored),
    "NOT_HAS_PROPERTY": lambda stored, _: not stored,
}
