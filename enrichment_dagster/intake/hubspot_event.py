"""One event of a HubSpot webhook.

Source: developers.hubspot.com, "Webhooks API". The type is documented as ``eventType`` and sent as
``subscriptionType``; apps of the newer platform send ``object.creation`` with an ``objectTypeId`` for
``contact.creation``. Ids have 64 bits; ``eventId`` is documented as not unique; deliveries come twice and in any order.
"""

from __future__ import annotations

from datetime import datetime

from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.keys import dedup_key, event_id
from enrichment_dagster.domain.triggers import LEAD_CREATED, Triggers
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.elements import Element, epoch_milliseconds, exact_id, text, to_milliseconds

SOURCE = "hubspot"
_CONTACT_CREATION = "contact.creation"
_OBJECT_TYPES = {"0-1": "contact", "0-2": "company", "0-3": "deal", "0-5": "ticket"}
_RECORD_IDS = ("objectId", "fromObjectId", "primaryObjectId")  # association changes and merges may lack the first
_MAX_TYPE = 40  # what the journal's columns hold
_MAX_NAME, _MAX_VALUE = 100, 1_000


def read_event(element: Element, now: datetime, triggers: Triggers) -> Event:
    """Turn one element of a batch into an event.

    Raises:
        PayloadError: ``missing_type``, ``bad_object_id`` or ``bad_occurred_at``.
    """
    kind = _subscription_type(element)
    record_id = _record_id(element)
    occurred_at = epoch_milliseconds(element, "occurredAt")
    number, portal, start, end = (
        exact_id(element, name) or "" for name in ("eventId", "portalId", "fromObjectId", "toObjectId")
    )
    # attemptNumber is left out: it differs between two deliveries of one event.
    parts = (portal, kind, record_id, start, end, text(element, "propertyName"))
    key = dedup_key(SOURCE, *parts, to_milliseconds(occurred_at), number)
    attributes = {"portalId": portal, "subscriptionType": kind, "changeSource": "", **_change(element)}
    event_type, skip_reason = triggers.judge(LEAD_CREATED if kind == _CONTACT_CREATION else None, attributes)
    return Event(
        event_id=event_id(key),
        dedup_key=key,
        event_type=event_type,
        source=SOURCE,
        subject=RecordRef("hubspot", kind.partition(".")[0][:_MAX_TYPE], record_id),
        occurred_at=occurred_at,
        received_at=now,
        sender_event_id=number,
        skip_reason=skip_reason,
        attributes=attributes,
    )


def _change(element: Element) -> dict[str, str]:
    """Return what was changed and by whom, in HubSpot's words: our own writes are known by it."""
    limits = {"changeSource": _MAX_TYPE, "sourceId": _MAX_TYPE, "propertyName": _MAX_NAME, "propertyValue": _MAX_VALUE}
    said = {name: text(element, name, limit) for name, limit in limits.items()}
    return {name: value for name, value in said.items() if value}


def _subscription_type(element: Element) -> str:
    """Return the type in the older form, ``contact.creation``."""
    kind = text(element, "subscriptionType") or text(element, "eventType")
    if not kind:
        raise PayloadError("missing_type", "subscriptionType is missing")
    name, dot, action = kind.partition(".")
    if name == "object":
        object_type = text(element, "objectTypeId")
        name = _OBJECT_TYPES.get(object_type, object_type or name)
    return f"{name}{dot}{action}"


def _record_id(element: Element) -> str:
    name = next((n for n in _RECORD_IDS if element.get(n) is not None), _RECORD_IDS[0])
    record_id = exact_id(element, name)
    if record_id is None:
        raise PayloadError("bad_object_id", f"{name} is not a record id")
    return record_id
