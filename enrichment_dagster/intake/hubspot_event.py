"""One event of a HubSpot webhook.

Source: developers.hubspot.com, "Webhooks API" and "Create generic webhook subscriptions". The type is documented as
``eventType`` and sent as ``subscriptionType``; apps of the newer platform send ``object.creation`` with an
``objectTypeId`` for ``contact.creation``. Ids have 64 bits; ``eventId`` is documented as not unique; deliveries come
twice and in any order. The event carries nothing of the record but the property that changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.triggers import LEAD_CREATED, OPPORTUNITY_STAGE_CHANGED
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.elements import Element, exact_id, text, whole_text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.hubspot_association import read_association
from enrichment_dagster.intake.moments import epoch_milliseconds, to_milliseconds

SOURCE = "hubspot"
OBJECT_TYPES: Mapping[str, str] = MappingProxyType({"0-1": "contact", "0-2": "company", "0-3": "deal", "0-5": "ticket"})
PRIVACY_DELETION = "privacy_deletion"
"""The skip reason of an event that asks for a person's data to be erased: what the erasure finds its records by."""
_RECORD_IDS = ("newObjectId", "primaryObjectId", "objectId", "fromObjectId")
_MAX_TYPE = 40  # what the journal's columns hold
_MOST_MERGED = 100


def read_event(element: Element) -> Fact:
    """Read one element of a batch.

    Raises:
        PayloadError: ``missing_type``, ``bad_object_id`` or ``bad_occurred_at``.
    """
    kind = subscription_type(element)
    name, _, action = kind.partition(".")
    if action == "associationChange" and (association := read_association(element, name)) is not None:
        return association
    occurred_at = epoch_milliseconds(element, "occurredAt")
    number, portal, start, end = (
        exact_id(element, key) or "" for key in ("eventId", "portalId", "fromObjectId", "toObjectId")
    )
    record_id = _record_id(element)
    # attemptNumber is left out: it differs between two deliveries of one event.
    parts = (portal, kind, record_id, start, end, text(element, "propertyName"), to_milliseconds(occurred_at), number)
    event_type, attributes, skip_reason = _meaning(kind, element)
    return Fact(
        event_type=event_type,
        subject=RecordRef(SOURCE, name[:_MAX_TYPE], record_id),
        occurred_at=occurred_at,
        identity=parts,
        number=number,
        skip_reason=skip_reason,
        attributes={**_origin(element, kind, portal), **attributes},
    )


def _meaning(kind: str, element: Element) -> tuple[str | None, dict[str, Any], str]:
    """Return what an event is to us, what it says beyond that, and why there is nothing to do."""
    if kind == "contact.creation":
        return LEAD_CREATED, {}, ""
    name, value = text(element, "propertyName"), whole_text(element, "propertyValue")
    changed = {"propertyName": name, "propertyValue": value}
    if kind == "deal.propertyChange" and name == "dealstage":
        return OPPORTUNITY_STAGE_CHANGED, {**changed, "stage": value.strip()}, ""
    if kind == "contact.privacyDeletion":
        return None, {}, PRIVACY_DELETION
    if kind.endswith(".merge"):
        primary = exact_id(element, "primaryObjectId")
        return None, {"primaryObjectId": primary, "mergedObjectIds": _merged(element.get("mergedObjectIds"))}, ""
    return None, changed, ""


def _merged(ids: Any) -> list[str] | None:
    """Return the records that went into another one: whoever asks for one of them has to look there."""
    found = [exact_id({"id": one}, "id") for one in ids[:_MOST_MERGED]] if isinstance(ids, list) else []
    return [one for one in found if one is not None] or None


def _origin(element: Element, kind: str, portal: str) -> dict[str, str]:
    """Return who changed it, in HubSpot's words: our own writes are known by it."""
    said = {name: text(element, name, _MAX_TYPE) for name in ("changeSource", "changeFlag", "sourceId")}
    return {"portalId": portal, "subscriptionType": kind, **said}


def subscription_type(element: Element) -> str:
    """Return the type in the older form, ``contact.creation``.

    Raises:
        PayloadError: ``missing_type``.
    """
    kind = text(element, "subscriptionType") or text(element, "eventType")
    if not kind:
        raise PayloadError("missing_type", "subscriptionType is missing")
    name, dot, action = kind.partition(".")
    if name == "object":
        object_type = text(element, "objectTypeId")
        name = OBJECT_TYPES.get(object_type, object_type or name)
    return f"{name}{dot}{action}"


def _record_id(element: Element) -> str:
    name = next((n for n in _RECORD_IDS if element.get(n) is not None), "objectId")
    record_id = exact_id(element, name)
    if record_id is None:
        raise PayloadError("bad_object_id", f"{name} is not a record id")
    return record_id
