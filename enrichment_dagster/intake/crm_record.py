"""The CRM record that a body names: ``source_system``, ``source_id`` and ``object_type``, as ``/enrich`` has them."""

from __future__ import annotations

from collections.abc import Mapping

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.elements import Element, exact_id, text
from enrichment_dagster.intake.salesforce_id import long_id

HUBSPOT, SALESFORCE = "hubspot", "salesforce"
_SYSTEM_NAMES, _ID_NAMES = ("source_system", "system"), ("source_id", "record_id")
_HUBSPOT_OBJECTS = frozenset({"contact", "company", "deal"})
_SALESFORCE_OBJECTS: Mapping[str, str] = {"00Q": "lead", "003": "contact", "001": "account", "006": "opportunity"}
_PREFIX = 3


def crm_record(element: Element) -> RecordRef | None:
    """Return the record, or None where the element names none.

    Without a system the id's form tells it: Salesforce's ids begin with ``00``, HubSpot's are numbers that do not.

    Raises:
        PayloadError: ``bad_record_id``: there is an id, but not of a record of that system.
    """
    name = next((name for name in _ID_NAMES if element.get(name) not in (None, "")), None)
    if name is None:
        return None
    system = next((text(element, key) for key in _SYSTEM_NAMES if text(element, key)), "").lower()
    kind = text(element, "object_type").lower()
    found = None
    if system in ("", SALESFORCE):
        found = salesforce_record(text(element, name), kind)
    if found is None and system in ("", HUBSPOT) and kind in {"", *_HUBSPOT_OBJECTS}:
        number = exact_id(element, name)
        found = None if number is None else RecordRef(HUBSPOT, kind or "contact", number)
    if found is None:
        raise PayloadError("bad_record_id", f"{name} is not the id of a record of HubSpot or Salesforce")
    return found


def salesforce_record(value: str, kind: str = "") -> RecordRef | None:
    """Return a Salesforce record of this kind; where no kind is said, the id's first characters tell it."""
    record_id = long_id(value)
    told = None if record_id is None else _SALESFORCE_OBJECTS.get(record_id[:_PREFIX])
    if record_id is None or told is None or kind not in ("", told):
        return None
    return RecordRef(SALESFORCE, told, record_id)
