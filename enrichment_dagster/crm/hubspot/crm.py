"""HubSpot's CRM v3: contacts, companies and deals, read and written in batches of 100.

Source: HubSpot CRM v3 OpenAPI. Ids and property values are text. A batch answers 207 when some of its records failed;
``objectWriteTraceId`` tells which, and asks HubSpot to write the others. A record's company is no property: where it is
asked for or written (``crm.links``), associations are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from enrichment_dagster.clock import Clock
from enrichment_dagster.crm.batches import BatchRefusedError, Limits, Results, read_all, write_all
from enrichment_dagster.crm.hubspot.associations import associate, read_companies
from enrichment_dagster.crm.hubspot.calls import PATHS, HubSpotCalls, results_of
from enrichment_dagster.crm.hubspot.errors import error_objects, failure_of, named
from enrichment_dagster.crm.hubspot.find import look_for
from enrichment_dagster.crm.links import HUBSPOT_COMPANY
from enrichment_dagster.crm.matching import matched
from enrichment_dagster.crm.values import for_hubspot
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import CrmError
from enrichment_dagster.http import RemoteClient
from enrichment_dagster.ports import CrmFailure, CrmRecord, RecordUpdate, Search

_ID = re.compile(r"[0-9]{1,20}")
_MOST_ID = 2**63 - 1  # a number that HubSpot can't hold would be refused for the whole batch
LIMITS = Limits(PATHS, lambda text: _ID.fullmatch(text) is not None and int(text) <= _MOST_ID, batch=100)
_ADDRESS = "email"
_NOT_FOUND = CrmFailure("not_found", transient=False)


class HubSpotCrm:
    """The ``Crm`` port over HubSpot."""

    system = "hubspot"

    def __init__(self, client: RemoteClient, timeout_seconds: float, clock: Clock) -> None:
        self._calls = HubSpotCalls(client, timeout_seconds, clock)

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

    async def find(
        self, search: Search, values: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, Sequence[CrmRecord]]:
        """Return the records that hold each value, the last changed first.

        Raises:
            CrmError: HubSpot as a whole did not answer.
        """
        asked = list(dict.fromkeys(values))
        seen = await look_for(self._calls, search, asked, _own(properties))
        items = {text: item for item in seen if LIMITS.is_id(text := str(item.get("id")))}
        await self._add_companies(search.object_type, items, properties)
        read = (_record(RecordRef(self.system, search.object_type, text), item) for text, item in items.items())
        return matched(search, asked, [record for record in read if isinstance(record, CrmRecord)])

    async def write(self, updates: Sequence[RecordUpdate]) -> Mapping[RecordRef, CrmFailure | None]:
        """Write every update; None means written.

        Raises:
            CrmError: HubSpot as a whole did not answer; any of the updates may have been written.
        """
        plain = [RecordUpdate(u.ref, _without_link(u)) for u in updates if _without_link(u) or not u.properties]
        links = [RecordUpdate(u.ref, u.properties) for u in updates if HUBSPOT_COMPANY in u.properties]
        results = await write_all(plain, LIMITS, self._write_batch)
        results.update({u.ref: _of_address(u, failure) for u in plain if (failure := results[u.ref]) is not None})
        good = [update for update in links if results.get(update.ref) is None]
        try:
            return {**results, **await write_all(good, LIMITS, self._associate)}
        except CrmError as error:
            if not results:
                raise
            failure = CrmFailure(error.reason, error.transient, error.detail)
            return {**results, **{update.ref: failure for update in good}}

    async def _read_batch(
        self, refs: Sequence[RecordRef], properties: Sequence[str]
    ) -> Mapping[RecordRef, CrmRecord | CrmFailure]:
        object_type, inputs = refs[0].object_type, [{"id": ref.record_id} for ref in refs]
        body = {"properties": _own(properties), "propertiesWithHistory": [], "inputs": inputs}
        answer = await self._read_answer(object_type, body)
        found = {str(item.get("id")): item for item in results_of(answer)}
        absent = [ref.record_id for ref in refs if ref.record_id not in found]
        if found.keys() - {ref.record_id for ref in refs}:
            found.update(await self._merged_away(object_type, body, absent))
        await self._add_companies(object_type, found, properties)
        failures = {i: failure_of(e, self._calls.client) for e in error_objects(answer) for i in named(e, "ids")}
        return {ref: _record(ref, found.get(ref.record_id), failures.get(ref.record_id)) for ref in refs}

    async def _read_answer(self, object_type: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return await self._calls.post(f"/crm/v3/objects/{PATHS[object_type]}/batch/read", body)
        except BatchRefusedError as error:  # reading has nothing that one record could be refused for
            raise CrmError("bad_request", error.failure.detail, transient=False) from None

    async def _merged_away(
        self, object_type: str, body: Mapping[str, Any], ids: Sequence[str]
    ) -> dict[str, Mapping[str, Any]]:
        """Return the records that these became by a merge: asked for by an old id, a record answers under its new one.

        Which is which, only a call for one of them alone can tell.
        """
        found = {}
        for record_id in ids:
            alone = results_of(await self._read_answer(object_type, {**body, "inputs": [{"id": record_id}]}))
            if len(alone) == 1:
                found[record_id] = alone[0]
        return found

    async def _add_companies(
        self, object_type: str, found: dict[str, Mapping[str, Any]], properties: Sequence[str]
    ) -> None:
        """Add each record's company to its properties, if it is asked for. Without the right to know, it has none."""
        if HUBSPOT_COMPANY not in properties or not found:
            return
        try:
            companies = await read_companies(self._calls, object_type, list(found))
        except CrmError as error:
            if error.reason != "forbidden":
                raise
            companies = {}
        for record_id, item in found.items():
            if isinstance(item.get("properties"), dict):
                linked = {**item["properties"], HUBSPOT_COMPANY: companies.get(record_id)}
                found[record_id] = {**item, "properties": linked}

    async def _write_batch(self, updates: Sequence[RecordUpdate]) -> Results:
        path = f"/crm/v3/objects/{PATHS[updates[0].ref.object_type]}/batch/update"
        answer = await self._calls.post(path, {"inputs": [_input(u) for u in updates]})
        written = {str(item.get("id")) for item in results_of(answer)}
        errors = error_objects(answer)
        failures = {
            record_id: failure_of(error, self._calls.client)
            for error in errors
            for record_id in named(error, "objectWriteTraceId") | named(error, "ids")
        }
        all_written = not errors and len(written) >= len(updates)  # a merged contact answers under its new id
        return {u.ref: failures.get(u.ref.record_id) or _written(u.ref, written, all_written) for u in updates}

    async def _associate(self, updates: Sequence[RecordUpdate]) -> Results:
        """Put associations one after the other. When HubSpot stops answering midway, the rest fails for now."""
        results: Results = {}
        for update in updates:
            try:
                failure = await associate(self._calls, update.ref, update.properties[HUBSPOT_COMPANY])
                results[update.ref] = failure and replace(failure, properties=frozenset({HUBSPOT_COMPANY}))
            except CrmError as error:
                if not results:
                    raise
                failure = CrmFailure(error.reason, error.transient, error.detail)
                return {**{rest.ref: failure for rest in updates}, **results}
        return results


def _own(properties: Sequence[str]) -> list[str]:
    """Return the names that are HubSpot's properties."""
    return [name for name in properties if name != HUBSPOT_COMPANY]


def _without_link(update: RecordUpdate) -> Mapping[str, Any]:
    return {name: value for name, value in update.properties.items() if name != HUBSPOT_COMPANY}


def _of_address(update: RecordUpdate, failure: CrmFailure) -> CrmFailure:
    """Say what a conflict is about, which HubSpot does not: no two contacts have one address."""
    contact_has_address = update.ref.object_type == "contact" and _ADDRESS in update.properties
    if failure.reason == "conflict" and not failure.properties and contact_has_address:
        return replace(failure, properties=frozenset({_ADDRESS}))
    return failure


def _input(update: RecordUpdate) -> Mapping[str, Any]:
    """Return one input of a batch update. The trace id may be any text; the record's id needs no table to map back."""
    return {
        "id": update.ref.record_id,
        "objectWriteTraceId": update.ref.record_id,
        "properties": {name: for_hubspot(value) for name, value in update.properties.items()},
    }


def _record(
    ref: RecordRef, item: Mapping[str, Any] | None, failure: CrmFailure | None = None
) -> CrmRecord | CrmFailure:
    if item is None:
        return failure or _NOT_FOUND
    properties = item.get("properties")
    if not isinstance(properties, dict):
        return CrmFailure("malformed", transient=True)
    return CrmRecord(ref, properties)


def _written(ref: RecordRef, written: set[str], all_written: bool) -> CrmFailure | None:
    return None if all_written or ref.record_id in written else CrmFailure("unconfirmed", transient=True)
