"""Which company each HubSpot contact and deal is associated with. Salesforce keeps that in fields.

Type numbers: HubSpot's list of association type ids. The first company of a record becomes its primary one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from enrichment_dagster.sandbox.crm_store import WriteLog

PRIMARY = {"contact": 1, "deal": 5}
UNLABELLED = {"contact": 279, "deal": 341}


Types = Mapping[str, frozenset[int]]
"""A record's companies with their association types."""


@dataclass(frozen=True, slots=True)
class LinkChange:
    """An association that was made or removed. One that is primary has the unlabelled one beside it."""

    kind: str
    record_id: str
    company_id: str
    removed: bool
    primary: bool


class Links:
    """Companies by kind and id of the record, each with its association types; ``tell`` hears of clients' changes."""

    def __init__(self, log: WriteLog, tell: Callable[[LinkChange], None]) -> None:
        self._log = log
        self._tell = tell
        self._companies: dict[tuple[str, str], dict[str, set[int]]] = {}
        self._kept: dict[tuple[str, str], dict[str, set[int]]] = {}

    def put(self, kind: str, record_id: str, company_id: str) -> None:
        """Associate without a label; does nothing where that is so already."""
        of_record = self._companies.setdefault((kind, record_id), {})
        if company_id not in of_record:
            of_record[company_id] = {UNLABELLED[kind]} | ({PRIMARY[kind]} if not of_record else set())

    def label(self, kind: str, record_id: str, company_id: str, type_ids: set[int]) -> None:
        """Set labels; of several companies one is primary."""
        of_record = self._companies.setdefault((kind, record_id), {})
        if PRIMARY[kind] in type_ids:
            for types in of_record.values():
                types.discard(PRIMARY[kind])
        of_record.setdefault(company_id, {UNLABELLED[kind]}).update(type_ids)

    def written(self, kind: str, record_id: str, before: Types) -> None:
        """Tell of what a client's write has changed, and log it if that is the primary company."""
        after = self.types(kind, record_id)
        for change in _changes(kind, record_id, before, after):
            self._tell(change)
        old, new = (_primary(kind, types) for types in (before, after))
        if new != old:
            self._log.note(("hubspot", kind), record_id, [("company", old, new)], None)

    def types(self, kind: str, record_id: str) -> Types:
        """The record's companies and the types of their associations."""
        return {company: frozenset(types) for company, types in self._companies.get((kind, record_id), {}).items()}

    def primary(self, kind: str, record_id: str) -> str | None:
        """The id of the record's primary company."""
        return _primary(kind, self.types(kind, record_id))

    def as_results(self, kind: str, record_id: str) -> list[dict[str, Any]]:
        """A record's companies as HubSpot lists them."""
        labels = {PRIMARY[kind]: "Primary"}
        return [
            {
                "toObjectId": int(company),
                "associationTypes": [
                    {"category": "HUBSPOT_DEFINED", "typeId": number, "label": labels.get(number)}
                    for number in sorted(types)
                ],
            }
            for company, types in self._companies.get((kind, record_id), {}).items()
        ]

    def keep(self) -> None:
        """Let the present associations be those that a reset goes back to."""
        self._kept = _copy(self._companies)

    def reset(self) -> None:
        """Forget all associations but those of the start."""
        self._companies = _copy(self._kept)


def _primary(kind: str, types: Types) -> str | None:
    return next((company for company, of in types.items() if PRIMARY[kind] in of), None)


def _changes(kind: str, record_id: str, before: Types, after: Types) -> Iterator[LinkChange]:
    """What HubSpot sends events of: each type by itself, what was removed first."""
    numbers = (PRIMARY[kind], UNLABELLED[kind])
    for one, other, removed in ((before, after, True), (after, before, False)):
        for company, types in one.items():
            for number in (types - other.get(company, frozenset())).intersection(numbers):
                yield LinkChange(kind, record_id, company, removed, number == PRIMARY[kind])


def _copy(companies: dict[tuple[str, str], dict[str, set[int]]]) -> dict[tuple[str, str], dict[str, set[int]]]:
    return {place: {company: set(types) for company, types in of.items()} for place, of in companies.items()}
