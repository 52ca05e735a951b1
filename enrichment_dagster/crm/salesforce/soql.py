"""The queries that Salesforce is asked, values escaped.

Source: SOQL and SOSL Reference (Quoted String Escape Sequences, LIKE). ``LIKE`` and ``=`` make no difference of case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote_plus

from enrichment_dagster.crm.matching import fitting, written_forms
from enrichment_dagster.crm.salesforce.ids import short_id
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.ports import Search

TYPES = {"lead": "Lead", "contact": "Contact", "account": "Account", "opportunity": "Opportunity"}
MAX_QUERY = 6_000  # characters on the wire: proxies cut URLs from 8,000 on
_MOST_VALUES = 100
_AROUND = 200  # characters of a query beside its fields and conditions


def by_ids(refs: Sequence[RecordRef], fields: Sequence[str]) -> str:
    """Return the query for records of one kind; names and ids are checked before, and hold no quotes.

    Ids go in their short form: an 18-character id with a wrong checksum would fail the query for all records.
    """
    ids = ",".join(f"'{short_id(ref.record_id)}'" for ref in refs)
    return f"SELECT {','.join(fields)} FROM {TYPES[refs[0].object_type]} WHERE Id IN ({ids})"  # noqa: S608


def searches(search: Search, values: Sequence[str], fields: Sequence[str]) -> Iterator[str]:
    """Return the queries for the records that may hold one of the values, each short enough for a URL."""
    room = MAX_QUERY - _AROUND - len(quote_plus(",".join(fields)))
    usable = [value for value in values if value.isprintable()]  # no text in a record holds control characters
    for part in fitting(usable, lambda value: len(quote_plus(_condition(search, [value]))), room, _MOST_VALUES):
        # A lead that was converted is a contact now; it can't be changed any more.
        rest = " AND IsConverted = false" if search.object_type == "lead" else ""
        condition = f"{_condition(search, part)}{rest}"
        yield (
            f"SELECT {','.join(fields)} FROM {TYPES[search.object_type]} "  # noqa: S608 - names checked, values escaped
            f"WHERE {condition} ORDER BY LastModifiedDate DESC"
        )


def _condition(search: Search, values: Sequence[str]) -> str:
    if search.by == "domain":  # acme.com, https://acme.com/about, www.acme.com; not notacme.com
        starts = [start + _pattern(value) for value in values for start in ("", "%/", "%.")]
        one_of = [f"{name} LIKE '{start}%'" for name in search.properties for start in starts]
    else:
        forms = dict.fromkeys(form for value in values for form in written_forms(search, value))
        listed = ",".join(f"'{escaped(form)}'" for form in forms)
        one_of = [f"{name} IN ({listed})" for name in search.properties]
    return f"({' OR '.join(one_of)})"


def escaped(text: str) -> str:
    """Return a text as it stands between the quotes of a SOQL literal."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _pattern(text: str) -> str:
    """Return a text as it stands in a LIKE pattern: its own % and _ mean themselves."""
    return escaped(text).replace("%", "\\%").replace("_", "\\_")
