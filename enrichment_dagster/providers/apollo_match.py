"""Whose row is it? Apollo's bulk replies drop rows, put null for some, and keep no order: rows are known by content."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from enrichment_dagster.domain.keys import email_subject
from enrichment_dagster.domain.normalise import InvalidValueError, normalise_domain
from enrichment_dagster.ports import Query
from enrichment_dagster.providers.apollo_wire import PERSON_ID, email_of, id_of
from enrichment_dagster.providers.extract import Row

_Rule = Callable[[Query, Row], bool]


def match_people(queries: Sequence[Query], rows: Sequence[Row]) -> list[Row | None]:
    """Return each query's row: the one of its id, of its address, or of its company and a fitting name."""
    return _match(queries, rows, (_same_id, _same_address, _same_colleague))


def match_companies(queries: Sequence[Query], rows: Sequence[Row]) -> list[Row | None]:
    """Return each query's row: the one of its domain."""
    return _match(queries, rows, (_same_domain,))


def _match(queries: Sequence[Query], rows: Sequence[Row], rules: Sequence[_Rule]) -> list[Row | None]:
    """Apply the surest rule to all queries first. A row belongs to one query; two rows that fit are none."""
    found: list[Row | None] = [None] * len(queries)
    left = list({id_of(row) or number: row for number, row in enumerate(rows)}.values())
    for rule in rules:
        for index, query in enumerate(queries):
            fitting = [row for row in left if rule(query, row)] if found[index] is None else []
            if len(fitting) == 1:
                found[index] = fitting[0]
                left.remove(fitting[0])
    return found


def _same_id(query: Query, row: Row) -> bool:
    known = query.ids.get(PERSON_ID)
    return bool(known) and known == id_of(row)


def _same_address(query: Query, row: Row) -> bool:
    email = email_of(row)
    return bool(query.email) and isinstance(email, str) and email_subject(email) == email_subject(query.email or "")


def _same_colleague(query: Query, row: Row) -> bool:
    """Say whether a row without our address is our person: of that company, and of a name that fits.

    The name is what we know of it, or else what the address shows: somebody else's data would be worse than none.
    """
    organization = row.get("organization")
    if not isinstance(organization, dict) or not _same_domain(query, organization):
        return False
    first, last = _text(row, "first_name"), _text(row, "last_name")
    if query.first_name and query.last_name:
        return (first, last) == (query.first_name.strip().lower(), query.last_name.strip().lower())
    local = (query.email or "").partition("@")[0].lower()
    return bool(first and last) and last in local and first[0] in local


def _same_domain(query: Query, row: Row) -> bool:
    ours = _domain(query.domain)
    return ours is not None and ours in {_domain(row.get("primary_domain")), _domain(row.get("website_url"))}


def _domain(text: Any) -> str | None:
    try:
        return normalise_domain(text) if isinstance(text, str) else None
    except InvalidValueError:
        return None


def _text(row: Mapping[str, Any], key: str) -> str:
    found = row.get(key)
    return found.strip().lower() if isinstance(found, str) else ""
