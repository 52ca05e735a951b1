"""``ports.RecordMapper`` by the configuration: which of our fields goes to which property of which kind of record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, cast

from enrichment_dagster.crm.links import COMPANY_LINKS
from enrichment_dagster.crm.mapping import from_properties, plan_write, to_properties
from enrichment_dagster.crm.values import is_blank
from enrichment_dagster.domain.config import CrmConfig, CrmObjectConfig
from enrichment_dagster.domain.eligibility import Standing
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.fields import Value
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.domain.records import ACCOUNT, COMPANY_TYPES, PERSON, PERSON_TYPES
from enrichment_dagster.domain.routing import RoutingDecision
from enrichment_dagster.ports import OutboxEntry, Search, WritePlan

_Status = Literal["enriched", "partial", "unchanged", "skipped", "failed"]
_COMPLETE: _Status = "enriched"

_PHONES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"hubspot": ("phone", "mobilephone"), "salesforce": ("Phone", "MobilePhone")}
)
"""Where every account of a CRM keeps a person's numbers; the first one may be mapped to another property."""


_ANSWERS_ALL = frozenset({"salesforce"})
"""CRMs that tell every property they are asked for, blank ones too: one that is absent is hidden from us."""


class ConfiguredMapper:
    """Maps records of the configured CRMs."""

    def __init__(self, config: CrmConfig) -> None:
        self._config = config

    def knows(self, ref: RecordRef) -> bool:
        """Say whether records of this kind are configured."""
        return self._config.object_config(ref.system, ref.object_type) is not None

    def properties(self, ref: RecordRef) -> Sequence[str]:
        """Return the properties to read of such a record."""
        config = self._object(ref)
        status = [config.status.status] if config.status else []
        consent = [config.consent.property] if config.consent else []
        return list(dict.fromkeys([*config.mapping.values(), *status, *consent]))

    def link(self, ref: RecordRef) -> str | None:
        """Return the property that holds the id of the record's company, if companies are configured."""
        company = self._config.object_config(ref.system, COMPANY_TYPES.get(ref.system, ""))
        return COMPANY_LINKS.get((ref.system, ref.object_type)) if company is not None else None

    def company(self, ref: RecordRef, company_id: Any) -> RecordRef | None:
        """Return the record of a company in the same CRM, if companies are configured."""
        found = RecordRef(ref.system, COMPANY_TYPES.get(ref.system, ""), str(company_id or ""))
        return found if found.record_id and self.knows(found) else None

    def searches(self, system: str, subject: RecordRef) -> Sequence[Search]:
        """Return how the records of a ``person`` or ``account`` subject are looked for in a CRM."""
        if (subject.system, subject.object_type) == (ACCOUNT, "domain"):
            kinds: Sequence[str] = (COMPANY_TYPES.get(system, ""),)
        elif subject.system == PERSON and subject.object_type in {"email", "phone"}:
            kinds = PERSON_TYPES.get(system, ())
        else:
            kinds = ()
        found = ((kind, self._config.object_config(system, kind)) for kind in kinds)
        return [_search(system, subject.object_type, kind, config) for kind, config in found if config is not None]

    def known(self, ref: RecordRef, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the record's filled fields under our names."""
        return from_properties(properties, self._object(ref))

    def blank(self, ref: RecordRef, properties: Mapping[str, Any]) -> frozenset[str]:
        """Return the mapped fields in whose properties the record has nothing."""
        config = self._object(ref)
        return frozenset(name for name, target in config.mapping.items() if is_blank(properties.get(target)))

    def standing(self, ref: RecordRef, properties: Mapping[str, Any]) -> Standing:
        """Return what the record says of itself beside its fields."""
        config = self._object(ref)
        status = properties.get(config.status.status) if config.status else None
        consent = config.consent
        said = None if consent is None else properties.get(consent.property)
        refused = [] if consent is None else [word.casefold() for word in consent.refused]
        unseen = consent is not None and ref.system in _ANSWERS_ALL and consent.property not in properties
        refuses = unseen or (said is not None and str(said).casefold() in refused)
        return Standing("" if is_blank(status) else str(status), refuses)

    def fill(self, ref: RecordRef, values: Mapping[str, Value]) -> Mapping[str, Any]:
        """Return the properties that hold these values."""
        return to_properties(values, self._object(ref), ref.system)

    def status(self, ref: RecordRef, outcome: Outcome, missing: Sequence[str], at: datetime) -> Mapping[str, Any]:
        """Return the properties that say how the enrichment went; none where none are configured."""
        status = self._object(ref).status
        if status is None:
            return {}
        # Nothing to add because nothing was missing is as good as enriched.
        key: _Status = _COMPLETE if outcome is Outcome.UNCHANGED and not missing else cast("_Status", str(outcome))
        return {
            status.status: status.values.get(key, str(outcome)),
            status.missing_fields: ", ".join(missing),
            status.enriched_at: at.replace(microsecond=0).isoformat().replace("+00:00", "Z"),
        }

    def routing(self, ref: RecordRef, decision: RoutingDecision) -> Mapping[str, Any]:
        """Return the properties that say where the lead goes; only those that are configured."""
        names = self._object(ref).routing
        told = {names.segment: decision.segment, names.score: decision.score, names.route: decision.route}
        return {name: value for name, value in told.items() if name is not None}

    def plan_write(self, ref: RecordRef, current: Mapping[str, Any], entry: OutboxEntry) -> WritePlan:
        """Compare what is owed with the record as it is now."""
        return plan_write(current, entry.fill, entry.assign, entry.replace)

    def _object(self, ref: RecordRef) -> CrmObjectConfig:
        found = self._config.object_config(ref.system, ref.object_type)
        if found is None:
            raise KeyError(ref.key)
        return found


def _search(system: str, by: str, kind: str, config: CrmObjectConfig) -> Search:
    if by == "phone":
        usual, mobile = _PHONES[system]
        return Search(kind, "phone", tuple(dict.fromkeys((config.mapping.get("phone", usual), mobile))))
    if by == "email":
        return Search(kind, "email", (config.mapping["email"],))
    return Search(kind, "domain", (config.mapping["company_domain"],))
