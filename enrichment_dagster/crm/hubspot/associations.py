"""Which company a HubSpot record is associated with, read in batches and put one by one.

Source: associations v4 guide and reference. A record may be associated with several companies: the one with the label
"Primary" counts. A record without any answers 207 with NO_ASSOCIATIONS_FOUND. ``toObjectId`` is a number or a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from enrichment_dagster.crm.batches import BatchRefusedError
from enrichment_dagster.crm.hubspot.calls import PATHS, HubSpotCalls, results_of
from enrichment_dagster.crm.hubspot.errors import error_objects, failure_of
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import CrmError
from enrichment_dagster.ports import CrmFailure

_ID = re.compile(r"[0-9]{1,20}")
_PRIMARY = {"contact": 1, "deal": 5}
"""HubSpot's numbers of the association types "Contact to primary company" and "Deal to primary company"."""


async def read_companies(calls: HubSpotCalls, object_type: str, ids: Sequence[str]) -> dict[str, str]:
    """Return the id of each record's company; records without one are absent.

    Raises:
        CrmError: HubSpot as a whole did not answer, or answered for some records only.
    """
    path = f"/crm/v4/associations/{PATHS[object_type]}/companies/batch/read"
    try:
        answer = await calls.post(path, {"inputs": [{"id": record_id} for record_id in ids]})
    except BatchRefusedError as error:
        raise CrmError("bad_request", error.failure.detail, transient=False) from None
    for problem in error_objects(answer):
        failure = failure_of(problem, calls.client)
        if failure.transient:
            raise CrmError(failure.reason, failure.detail, transient=True)
    found = {_id(item.get("from")): _company(item.get("to")) for item in results_of(answer)}
    return {record_id: company for record_id, company in found.items() if record_id and company}


def _id(value: Any) -> str:
    return str(value.get("id") or "") if isinstance(value, dict) else ""


def _company(value: Any) -> str:
    """Return the id of the primary company, else of the first one."""
    listed = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    ids = [str(item.get("toObjectId")) for item in sorted(listed, key=lambda item: not _is_primary(item))]
    return next((text for text in ids if _ID.fullmatch(text)), "")


def _is_primary(item: Mapping[str, Any]) -> bool:
    types = item.get("associationTypes")
    return isinstance(types, list) and any(isinstance(one, dict) and one.get("label") == "Primary" for one in types)


async def associate(calls: HubSpotCalls, ref: RecordRef, company_id: Any) -> CrmFailure | None:
    """Make a company the primary one of a record. Harmless to repeat.

    What it was associated with before stays, without the label: who worked where is history, for people to remove.

    Raises:
        CrmError: HubSpot as a whole did not answer.
    """
    if ref.object_type not in _PRIMARY or not _ID.fullmatch(str(company_id)):
        return CrmFailure("invalid_id", transient=False, detail="company")
    base = f"/crm/v4/objects/{PATHS[ref.object_type]}/{ref.record_id}/associations"
    label = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": _PRIMARY[ref.object_type]}
    try:
        await calls.put(f"{base}/default/companies/{company_id}")
        await calls.put(f"{base}/companies/{company_id}", [label])
    except BatchRefusedError as error:
        return error.failure
    return None
