"""Finding HubSpot records by an address, a number or a domain.

Source: HubSpot CRM v3 OpenAPI (batch/read with ``idProperty``, search) and the search guide. By address 100 contacts
are read at once. Everything else is searched for: 3,000 characters a request, five requests a second, without what
changed a moment ago; IN compares with texts in lower case; numbers are searched for in calculated properties, by their
digits behind the country code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from enrichment_dagster.crm.batches import BatchRefusedError, chunks
from enrichment_dagster.crm.hubspot.calls import PATHS, HubSpotCalls, results_of
from enrichment_dagster.crm.matching import fitting, national_digits, written_forms
from enrichment_dagster.errors import CrmError
from enrichment_dagster.ports import Search

_MOST_IN_BATCH, _MOST_IN_SEARCH = 100, 50
_MOST_CHARACTERS = 2_900  # of 3,000
_PAGE = 200
_MOST_PAGES = 10
_CALCULATED = ("hs_searchable_calculated_phone_number", "hs_searchable_calculated_mobile_number")

Items = list[Mapping[str, Any]]


async def look_for(calls: HubSpotCalls, search: Search, values: Sequence[str], properties: Sequence[str]) -> Items:
    """Return the records that may hold one of the values, each as HubSpot shows it.

    Raises:
        CrmError: HubSpot as a whole did not answer, or does not know a property.
    """
    wanted = list(dict.fromkeys([*search.properties, *properties]))
    try:
        if (search.object_type, search.by, search.properties) == ("contact", "email", ("email",)):
            return await _by_address(calls, values, wanted)
        return await _by_search(calls, search, values, wanted)
    except BatchRefusedError as error:
        raise CrmError("bad_request", error.failure.detail, transient=False) from None


async def _by_address(calls: HubSpotCalls, values: Sequence[str], properties: Sequence[str]) -> Items:
    found: Items = []
    for part in chunks(values, _MOST_IN_BATCH):
        body = {"properties": properties, "propertiesWithHistory": [], "idProperty": "email",
                "inputs": [{"id": value} for value in part]}  # fmt: skip
        found += results_of(await calls.post("/crm/v3/objects/contacts/batch/read", body))
    return found


async def _by_search(calls: HubSpotCalls, search: Search, values: Sequence[str], properties: Sequence[str]) -> Items:
    path, found = f"/crm/v3/objects/{PATHS[search.object_type]}/search", list[Mapping[str, Any]]()
    room = _MOST_CHARACTERS - len(json.dumps(_body(search, (), properties, "0")))
    for part in fitting(values, lambda value: _length(search, value), room, _MOST_IN_SEARCH):
        after = "0"
        for _ in range(_MOST_PAGES):
            answer = await calls.search(path, _body(search, part, properties, after))
            found += results_of(answer)
            after = _next_page(answer)
            if not after:
                break
    return found


def _length(search: Search, value: str) -> int:
    """Return how many characters of a request a value takes in all of its filters."""
    return len(json.dumps([values for _, values in _filters(search, [value])])) + 4


def _filters(search: Search, values: Sequence[str]) -> list[tuple[str, list[str]]]:
    forms = list(dict.fromkeys(form.lower() for value in values for form in written_forms(search, value)))
    if search.by != "phone":
        return [(name, forms) for name in search.properties]
    digits = list(dict.fromkeys(national_digits(value) for value in values))
    return [*((name, forms) for name in search.properties), *((name, digits) for name in _CALCULATED)]


def _body(search: Search, values: Sequence[str], properties: Sequence[str], after: str) -> Mapping[str, Any]:
    groups = [
        {"filters": [{"propertyName": name, "operator": "IN", "values": texts}]}
        for name, texts in _filters(search, values)
    ]
    changed = "lastmodifieddate" if search.object_type == "contact" else "hs_lastmodifieddate"
    return {
        "filterGroups": groups,
        "sorts": [{"propertyName": changed, "direction": "DESCENDING"}],
        "properties": properties,
        "limit": _PAGE,
        "after": after,
    }


def _next_page(answer: Mapping[str, Any]) -> str:
    paging = answer.get("paging")
    following = paging.get("next") if isinstance(paging, dict) else None
    return str(following.get("after") or "") if isinstance(following, dict) else ""
