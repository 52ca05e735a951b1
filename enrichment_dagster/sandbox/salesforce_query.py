"""Runs parsed SOQL over the records of one kind and pages the result."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from itertools import count
from typing import Any

from enrichment_dagster.sandbox.crm_kinds import KINDS
from enrichment_dagster.sandbox.crm_store import CrmStore, Record, iso_ms
from enrichment_dagster.sandbox.salesforce_ids import normalise
from enrichment_dagster.sandbox.soql import Condition, Query, SoqlError, parse

PAGE = 2000
_LOCATOR = "01g5g00000"
_TABLES = {kind.path: kind.fields for kind in KINDS.values() if kind.system == "salesforce"}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "=": lambda left, right: left == right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


class Queries:
    """Answers queries over the stores of all kinds, by sObject name; open cursors are kept until read to the end."""

    def __init__(self, stores: Mapping[str, CrmStore]) -> None:
        self._stores = stores
        self._numbers = count(1)
        self._cursors: dict[str, tuple[Query, list[Record]]] = {}

    def first_page(self, text: str, version: str) -> dict[str, Any]:
        """Run a query; raises SoqlError."""
        query = parse(text, _TABLES)
        records = self._select(query)
        cursor = f"{_LOCATOR}{next(self._numbers):05d}AAA"
        if len(records) > PAGE:
            self._cursors[cursor] = (query, records)
        return self._page(cursor, query, records, 0, version)

    def next_page(self, locator: str, version: str) -> dict[str, Any]:
        """The page a nextRecordsUrl points at; raises SoqlError."""
        cursor, _, start = locator.rpartition("-")
        found = self._cursors.get(cursor)
        if found is None or not start.isdigit():
            raise SoqlError("INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(cursor, found[0], found[1], int(start), version)

    def _page(self, cursor: str, query: Query, records: list[Record], start: int, version: str) -> dict[str, Any]:
        end = start + PAGE
        done = end >= len(records)
        if done:
            self._cursors.pop(cursor, None)
        body: dict[str, Any] = {"totalSize": len(records), "done": done}
        if not done:
            body["nextRecordsUrl"] = f"/services/data/{version}/query/{cursor}-{end}"
        body["records"] = [_row(record, query, version) for record in records[start:end]]
        return body

    def _select(self, query: Query) -> list[Record]:
        records = self._candidates(query)
        for one_of in query.conditions:
            records = [record for record in records if any(_matches(record, condition) for condition in one_of)]
        if query.order_by:
            name = query.order_by
            records.sort(key=lambda record: _sort_key(value_of(record, name)), reverse=query.descending)
        return records if query.limit is None else records[: query.limit]

    def _candidates(self, query: Query) -> list[Record]:
        """By id when the query names ids, else every record."""
        store = self._stores[query.table]
        for condition, *others in query.conditions:
            if condition.field == "Id" and not others:
                found = (store.records.get(_checked_id(text)) for text in sorted(condition.texts))
                return [record for record in found if record]
        return list(store.records.values())


def _checked_id(text: str) -> str:
    record_id = normalise(text)
    if record_id is None:
        raise SoqlError("INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {text}")
    return record_id


def _matches(record: Record, condition: Condition) -> bool:
    if condition.field == "Id":
        return record.id in {_checked_id(text) for text in condition.texts}
    if condition.sign == "LIKE":
        stored = str(record.fields.get(condition.field) or "")
        return any(_pattern(text).fullmatch(stored) for text in condition.texts)
    if condition.sign == "IS":
        return bool(value_of(record, condition.field)) is condition.flag
    if condition.sign == "IN":
        stored = str(record.fields.get(condition.field) or "").lower()
        return any(stored == text.lower() for text in condition.texts)
    moment = record.created_ms if condition.field == "CreatedDate" else record.updated_ms
    return _COMPARE[condition.sign](moment, condition.moment_ms)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """A LIKE pattern: % stands for any text, _ for one character, each of them for itself behind a backslash."""
    parts = re.findall(r"\\.|[%_]|[^%_\\]+", text)
    signs = {"%": ".*", "_": "."}
    found = (signs.get(part) or re.escape(part.removeprefix("\\")) for part in parts)
    return re.compile("".join(found), re.IGNORECASE | re.DOTALL)


def _sort_key(value: object) -> tuple[bool, str]:
    return value is not None, str(value)


def value_of(record: Record, name: str) -> Any:
    """One field of a record as the REST API gives it; null when never set."""
    computed = _COMPUTED.get(name)
    return computed(record) if computed else record.fields.get(name)


_COMPUTED: dict[str, Callable[[Record], Any]] = {
    "Id": lambda record: record.id,
    "Name": lambda record: (
        record.fields.get("Name")
        or " ".join(str(record.fields[part]) for part in ("FirstName", "LastName") if record.fields.get(part))
    ),
    "IsDeleted": lambda _: False,
    "IsConverted": lambda record: bool(record.fields.get("IsConverted")),
    "CreatedDate": lambda record: _moment(record.created_ms),
    "LastModifiedDate": lambda record: _moment(record.updated_ms),
    "SystemModstamp": lambda record: _moment(record.updated_ms),
}


def _moment(milliseconds: int) -> str:
    """The moment as Salesforce writes it: 2026-09-21T12:53:21.000+0000."""
    return iso_ms(milliseconds).removesuffix("Z") + "+0000"


def _row(record: Record, query: Query, version: str) -> dict[str, Any]:
    url = f"/services/data/{version}/sobjects/{query.table}/{record.id}"
    attributes = {"type": query.table, "url": url}
    return {"attributes": attributes, **{name: value_of(record, name) for name in query.fields}}
