"""Salesforce over REST: leads, contacts, accounts and opportunities, read by SOQL, written by collections of 200.

Source: REST API Developer Guide (Query, Update Records Using sObject Collections, Call Options header). The account of
a contact or opportunity is a field like any other, ``AccountId``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from enrichment_dagster.crm.batches import BatchRefusedError, Limits, Results, read_all, write_all
from enrichment_dagster.crm.matching import matched
from enrichment_dagster.crm.salesforce.errors import INVALID_ID, failure_of, refused
from enrichment_dagster.crm.salesforce.ids import is_field, is_id, short_id
from enrichment_dagster.crm.salesforce.session import SalesforceSession
from enrichment_dagster.crm.salesforce.soql import MAX_QUERY, TYPES, by_ids, searches
from enrichment_dagster.crm.values import for_salesforce
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import CrmError
from enrichment_dagster.http import Reply
from enrichment_dagster.ports import CrmFailure, CrmRecord, RecordUpdate, Search

LIMITS = Limits(TYPES, is_id, batch=200, identity=short_id)
_ID_ON_WIRE = 24  # %27, fifteen characters, %27%2C
_MAX_PAGES = 50
_OK = 200
Queries = Callable[[Sequence[str]], Iterable[str]]
"""Makes the queries that ask for some fields."""

_MISFIT = re.compile(r"Cannot deserialize instance of \w+ from (?:VALUE_\w+ )?value (.+?)(?: or request|$)")
_log = structlog.get_logger(__name__)
_NOT_FOUND = CrmFailure("not_found", transient=False)


class SalesforceCrm:
    """The ``Crm`` port over Salesforce. ``client_name`` marks our writes, so that their change events can be told."""

    system = "salesforce"

    def __init__(self, session: SalesforceSession, api_version: str, client_name: str) -> None:
        self._session = session
        self._data = f"/services/data/{api_version}"
        self._client_name = client_name
        self._told: set[str] = set()  # fields that were logged as hidden: once is enough

    async def read(
        self, refs: Sequence[RecordRef], properties: Sequence[str]
    ) -> Mapping[RecordRef, CrmRecord | CrmFailure]:
        """Return every asked record, or why it can't be read.

        Raises:
            CrmError: Salesforce as a whole did not answer, or a property is no field's name.
        """
        fields = _fields(properties)

        async def call(batch: Sequence[RecordRef]) -> Mapping[RecordRef, CrmRecord | CrmFailure]:
            return await self._read_batch(batch, fields)

        size = min(LIMITS.batch, (MAX_QUERY - sum(len(name) + 3 for name in fields)) // _ID_ON_WIRE)
        return await read_all(refs, replace(LIMITS, batch=max(size, 1)), call)

    async def find(
        self, search: Search, values: Sequence[str], properties: Sequence[str]
    ) -> Mapping[str, Sequence[CrmRecord]]:
        """Return the records that hold each value, the last changed first. Converted leads are left out.

        Raises:
            CrmError: Salesforce as a whole did not answer, or a property is no field's name.
        """
        fields = _fields([*search.properties, *properties])
        asked = list(dict.fromkeys(values))
        rows = await self._visible(fields, lambda shown: searches(search, asked, shown))
        refs = [RecordRef(self.system, search.object_type, str(row.get("Id"))) for row in rows]
        records = [_record(ref, row) for ref, row in zip(refs, rows, strict=True) if is_id(ref.record_id)]
        return matched(search, asked, [record for record in records if isinstance(record, CrmRecord)])

    async def write(self, updates: Sequence[RecordUpdate]) -> Mapping[RecordRef, CrmFailure | None]:
        """Write every update; None means written.

        Raises:
            CrmError: Salesforce as a whole did not answer; any of the updates may have been written.
        """
        results = await write_all(updates, LIMITS, self._write_batch)
        return {**results, **{u.ref: _of_value(u, failure) for u in updates if (failure := results[u.ref]) is not None}}

    async def _read_batch(
        self, refs: Sequence[RecordRef], fields: Sequence[str]
    ) -> Mapping[RecordRef, CrmRecord | CrmFailure]:
        try:
            rows = await self._visible(fields, lambda shown: [by_ids(refs, shown)])
        except CrmError as error:
            if error.reason != INVALID_ID:
                raise
            raise BatchRefusedError(CrmFailure(INVALID_ID, transient=False, detail=error.detail)) from None
        found = {short_id(str(row.get("Id"))): row for row in rows}
        return {ref: _record(ref, found.get(short_id(ref.record_id))) for ref in refs}

    async def _visible(self, fields: Sequence[str], queries: Queries) -> list[Mapping[str, Any]]:
        """Return the rows of queries; fields that do not exist, or that we may not see, are left out of them.

        Salesforce names one of them at a time. Writing to one is refused just as well, and is told with the delivery.
        """
        while True:
            try:
                return [row for query in queries(fields) for row in await self._rows(query)]
            except BatchRefusedError as error:
                rest = [name for name in fields if name not in error.properties]
                if len(rest) == len(fields):
                    failure = error.failure
                    raise CrmError("bad_request", failure.detail, transient=failure.transient) from None
                if not error.properties <= self._told:
                    self._told |= error.properties
                    _log.warning("Salesforce has no such field, or does not show it", fields=sorted(error.properties))
                fields = rest

    async def _rows(self, query: str) -> list[Mapping[str, Any]]:
        """Return the rows of a query, page by page."""
        rows: list[Mapping[str, Any]] = []
        reply = await self._session.call("GET", f"{self._data}/query", params={"q": query})
        for _ in range(_MAX_PAGES):
            body = self._page(reply)
            rows += [row for row in body["records"] if isinstance(row, dict)]
            following = body.get("nextRecordsUrl")
            if body.get("done") is not False or not isinstance(following, str):
                break
            reply = await self._session.call("GET", self._checked(following))
        return rows

    def _checked(self, url: str) -> str:
        """Return the path of the next page: below ``/services/data/``, as documented, whatever the reply says."""
        if not url.startswith("/services/data/"):
            raise CrmError("malformed", "nextRecordsUrl leads elsewhere", transient=False)
        return url

    def _page(self, reply: Reply) -> Mapping[str, Any]:
        if reply.status != _OK:
            raise refused(reply, self._session.client)
        if not isinstance(reply.body, dict) or not isinstance(reply.body.get("records"), list):
            raise CrmError("malformed", "the reply has no records", transient=True, http_status=reply.status)
        return reply.body

    async def _write_batch(self, updates: Sequence[RecordUpdate]) -> Results:
        reply = await self._session.call(
            "PATCH",
            f"{self._data}/composite/sobjects",
            json={"allOrNone": False, "records": [_input(update) for update in updates]},
            headers={"sforce-call-options": f"client={self._client_name}"},
        )
        if reply.status != _OK:
            raise refused(reply, self._session.client)
        results = reply.body
        if not isinstance(results, list) or len(results) != len(updates):
            raise CrmError("malformed", "not one result per record", transient=True, http_status=reply.status)
        return {update.ref: self._result(item) for update, item in zip(updates, results, strict=True)}

    def _result(self, item: Any) -> CrmFailure | None:
        """Return what became of one record; the order is that of the request."""
        if not isinstance(item, dict) or not isinstance(item.get("success"), bool):
            return CrmFailure("unconfirmed", transient=True)
        return None if item["success"] else failure_of(item.get("errors"), self._session.client)


def _fields(properties: Sequence[str]) -> list[str]:
    """Return the fields to ask for.

    Raises:
        CrmError: one of them is no field's name.
    """
    fields = list(dict.fromkeys(["Id", *properties]))
    if wrong := [name for name in fields if not is_field(name)]:
        raise CrmError("invalid_field", ", ".join(wrong), transient=False, maybe_sent=False)
    return fields


def _of_value(update: RecordUpdate, failure: CrmFailure) -> CrmFailure:
    """Name the fields whose type is another one than the value's: Salesforce tells the value only, in its message."""
    found = _MISFIT.search(failure.detail)
    if found is None or failure.properties:
        return failure
    told = found[1].lower()
    guilty = frozenset(n for n, value in update.properties.items() if str(for_salesforce(value)).lower() == told)
    detail = f"{found.string[: found.start()]}another type: {', '.join(sorted(guilty))}" if guilty else failure.detail
    return replace(failure, properties=guilty, detail=detail)


def _input(update: RecordUpdate) -> Mapping[str, Any]:
    return {
        "attributes": {"type": TYPES[update.ref.object_type]},
        "id": update.ref.record_id,
        **{name: for_salesforce(value) for name, value in update.properties.items()},
    }


def _record(ref: RecordRef, row: Mapping[str, Any] | None) -> CrmRecord | CrmFailure:
    if row is None:
        return _NOT_FOUND
    return CrmRecord(ref, {name: value for name, value in row.items() if name != "attributes"})
