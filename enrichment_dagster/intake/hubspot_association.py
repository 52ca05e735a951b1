"""HubSpot's association changes: a contact was linked to a company.

Source: developers.hubspot.com, "Webhooks API". Each change fires two events, one per side, and a primary association
another pair: they are one fact, known by the unordered pair of records, whether it was removed, and a short span of
time. Of generic subscriptions the sides' types stand in ``fromObjectTypeId`` and ``toObjectTypeId``.
"""

from __future__ import annotations

from datetime import timedelta

from enrichment_dagster.domain.edges import ASSOCIATION_REMOVED
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.triggers import CONTACT_ASSOCIATED
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.elements import Element, exact_id, text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.moments import epoch_milliseconds, to_milliseconds

_TOGETHER = timedelta(seconds=10)
"""Events of one pair inside such a span are one change. Two that lie on either side of its edge are two: the record's
debounce makes one enrichment of them."""
_FORTH, _BACK = "CONTACT_TO_COMPANY", "COMPANY_TO_CONTACT"
_BY_TYPE_IDS = {("0-1", "0-2"): _FORTH, ("0-2", "0-1"): _BACK}
_MAX_TEXT = 40


def read_association(element: Element, side: str) -> Fact | None:
    """Read a change between a contact and a company; None for one between other records.

    Raises:
        PayloadError: ``bad_object_id`` or ``bad_occurred_at``.
    """
    sides = (text(element, "fromObjectTypeId"), text(element, "toObjectTypeId"))
    association = text(element, "associationType") or _BY_TYPE_IDS.get(sides, "")
    if association not in (_FORTH, _BACK):
        return None
    ids = exact_id(element, "fromObjectId"), exact_id(element, "toObjectId")
    contact, company = ids if association == _FORTH else ids[::-1]
    if contact is None or company is None:
        raise PayloadError("bad_object_id", "fromObjectId or toObjectId is not a record id")
    occurred_at = epoch_milliseconds(element, "occurredAt")
    portal, removed = exact_id(element, "portalId") or "", element.get("associationRemoved") is True
    span = to_milliseconds(occurred_at) // (_TOGETHER // timedelta(milliseconds=1))
    return Fact(
        event_type=CONTACT_ASSOCIATED,
        subject=RecordRef("hubspot", "contact", contact),
        occurred_at=occurred_at,
        identity=(portal, _FORTH, contact, company, "removed" if removed else "", span),
        number=exact_id(element, "eventId") or "",
        skip_reason=ASSOCIATION_REMOVED if removed else "",
        attributes={
            "portalId": portal,
            "subscriptionType": f"{side}.associationChange",
            "changeSource": text(element, "changeSource", _MAX_TEXT),
            "sourceId": text(element, "sourceId", _MAX_TEXT),
            "association": _FORTH,
            "company_id": company,
            "isPrimaryAssociation": element.get("isPrimaryAssociation") is True,
        },
    )
