"""HubSpot's CRM v3: contacts read and written in batches of 100.

Source: HubSpot CRM v3 OpenAPI. Ids and property values are text. A batch answers 207 when some of its records failed;
``objectWriteTraceId`` tells which, and asks HubSpot to write the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from enrichment_dagster.crm.batches import BatchRefusedError, Limits, Results, read_all, write_all
from enrichment_dagster.crm.hubspot.errors import error_objects, failure_of, named, refused
from enrichment_dagster.crm.values import for_hubspot
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import CrmError
from enrichment_dagster.http import Call, RemoteClient
from enrichment_dagster.ports import CrmFailure, CrmRecord, RecordUpdate

_PATHS = {"contact": "contacts", "company": "companies"}
_ID = re.compile(r"[0-9]{1,20}")
LIMITS = Limits(_PATHS, lambda text: _ID.fullmatch(text) is not None, batch=100)
_ANSWERS = frozenset({200, 201, 207})
_NOT_FOUND = CrmFailure("not_found", transient=False)


class HubSpotCrm:
    """The ``Crm`` port over HubSpot."""

    system = "hubspot"

    def __init__(self, client: RemoteClient, timeout_seconds: float) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds

    async def read(
        self, refs: Sequence[RecordRef], properties: Sequence[str]
    ) -> Mapping[RecordRef, CrmRecord | CrmFailure]:
        """Return every asked record, or why it can't be read.

        Raises:
            CrmError: HubSpot as a whole did not answer.
        """

        async def call(batch: Sequence[RecordRef]) -> Mapping[RecordRef, CrmRecord | CrmFailure]:
            return await self._read_batch(batch, properties)

        return await read_all(refs, LIMITS, call)

    async def write(self, updates: Sequence[RecordUpdate]) -> Mapping[RecordRef, CrmFailure | None]:
        """Write every update; None means written.

        Raises:
            CrmError: HubSpot as a whole did not answer; any of the updates may have been written.
        """
        return await write_all(updates, LIMITS, self._write_batch)

    async def _read_batch(
        self, refs: Sequence[RecordRef], properties: Sequence[str]
    ) -> Mapping[RecordRef, CrmRecord | CrmFailure]:
        inputs = [{"id": ref.record_id} for ref in refs]
        body = {"properties": list(properties), "propertiesWithHistory": [], "inputs": inputs}
        try:
            answer = await self._post(refs[0].object_type, "read", body)
        except BatchRefusedError as error:  # reading has nothing that one record could be refused for
            raise CrmError("bad_request", error.failure.detail, transient=False) from None
        found = {str(item.get("id")): item for item in _results(answer)}
        failures = {i: failure_of(e, self._client) for e in error_objects(answer) for i in named(e, "ids")}
        return {ref: _record(ref, found.get(ref.record_id), failures.get(ref.record_id)) for ref in refs}

    async def _write_batch(self, updates: Sequence[RecordUpdate]) -> Results:
        answer = await self._post(updates[0].ref.object_type, "update", {"inputs": [_input(u) for u in updates]})
        written = {str(item.get("id")) for item in _results(answer)}
        errors = error_objects(answer)
        failures = {
            record_id: failure_of(error, self._client)
            for error in errors
            for record_id in named(error, "objectWriteTraceId") | named(error, "ids")
        }
        all_written = not errors and len(written) >= len(updates)  # a merged contact answers under its new id
        return {u.ref: failures.get(u.ref.record_id) or _written(u.ref, written, all_written) for u in updates}

    async def _post(self, object_type: str, operation: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one batch call.

        Raises:
            BatchRefusedError: something in the batch is at fault.
            CrmError: anything else.
        """
        path = f"/crm/v3/objects/{_PATHS[object_type]}/batch/{operation}"
        reply = await self._client.exchange(Call("POST", path, self._timeout_seconds, json=body))
        if reply.status not in _ANSWERS:
            raise refused(reply, self._client)
        if not isinstance(reply.body, dict) or not isinstance(reply.body.get("results"), list):
            raise CrmError("malformed", "the reply has no results", transient=True, http_status=reply.status)
        return reply.body


def _input(update: RecordUpdate) -> Mapping[str, Any]:
    """Return one input of a batch update. The trace id may be any text; the record's id needs no table to map back."""
    return {
        "id": update.ref.record_id,
        "objectWriteTraceId": update.ref.record_id,
        "properties": {name: for_hubspot(value) for name, value in update.properties.items()},
    }


def _results(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [item for item in answer["results"] if isinstance(item, dict)]


def _record(ref: RecordRef, item: Mapping[str, Any] | None, failure: CrmFailure | None) -> CrmRecord | CrmFailure:
    if item is None:
        return failure or _NOT_FOUND
    properties = item.get("properties")
    if not isinstance(properties, dict):
        return CrmFailure("malformed", transient=True)
    return CrmRecord(ref, properties)


def _written(ref: RecordRef, written: set[str], all_written: bool) -> CrmFailure | None:
    return None if all_written or ref.record_id in written else CrmFailure("unconfirmed", transient=True)
