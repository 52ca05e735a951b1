"""Which company each HubSpot contact and deal is associated with. Salesforce keeps that in fields.

Type numbers: HubSpot's list of association type ids. The first company of a record becomes its primary one.
"""

from typing import Any

from enrichment_dagster.sandbox.crm_store import WriteLog

PRIMARY = {"contact": 1, "deal": 5}
UNLABELLED = {"contact": 279, "deal": 341}


class Links:
    """Companies by kind and id of the record, each with its association types."""

    def __init__(self, log: WriteLog) -> None:
        self._log = log
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

    def written(self, kind: str, record_id: str, before: str | None) -> None:
        """Log a client's write if it has changed the primary company."""
        after = self.primary(kind, record_id)
        if after != before:
            self._log.append(("hubspot", kind), record_id, [("company", before, after)], None)

    def primary(self, kind: str, record_id: str) -> str | None:
        """The id of the record's primary company."""
        of_record = self._companies.get((kind, record_id), {})
        return next((company for company, types in of_record.items() if PRIMARY[kind] in types), None)

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


def _copy(companies: dict[tuple[str, str], dict[str, set[int]]]) -> dict[tuple[str, str], dict[str, set[int]]]:
    return {place: {company: set(types) for company, types in of.items()} for place, of in companies.items()}
