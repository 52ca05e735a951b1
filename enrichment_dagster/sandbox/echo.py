"""The webhooks that HubSpot sends of a client's own writes: each change comes back, signed, a moment later.

Shapes: developers.hubspot.com, "Webhooks API" (a batch of up to 100 events, ``contact.propertyChange`` with name and
value; for an association ``contact.associationChange`` and ``company.associationChange``). The words of the origin are
those of a capture: ``INTEGRATION`` and the id of the app that wrote.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from enrichment_dagster.sandbox.callbacks import Callbacks
from enrichment_dagster.sandbox.crm_links import LinkChange
from enrichment_dagster.sandbox.signing import build_hubspot_delivery
from enrichment_dagster.sandbox.wire import now_ms

DELIVERY = "hubspot.webhook"
MOST_EVENTS = 100
_PORTAL, _APP = 62515, 54321
_Side = tuple[str, str]  # kind and id of a record


@dataclass(frozen=True, slots=True)
class EchoTarget:
    """Where the webhooks go, and the URL that their signature covers: behind a proxy it is another one.

    ``app_id`` is whom HubSpot names as the author; empty: it names nobody.
    """

    url: str
    secret: str
    app_id: str = ""
    signed_url: str = ""


class Echo:
    """Sends them as soon as the call that wrote has been answered; nothing while there is no target."""

    def __init__(self, callbacks: Callbacks) -> None:
        self.target: EchoTarget | None = None
        self._callbacks = callbacks
        self._waiting: list[dict[str, Any]] = []
        self._numbers = count(1)

    def note(self, place: tuple[str, str], record_id: str, changes: Iterable[tuple[str, Any, Any]]) -> None:
        """Owe an event for each property (name, old value, new value) of a HubSpot record that has changed."""
        target, (system, kind) = self.target, place
        if target is None or system != "hubspot":
            return
        self._owe(self._changed(target, kind, record_id, name, new) for name, old, new in changes if new != old)

    def note_link(self, change: LinkChange) -> None:
        """Owe the two events of an association, one for each of its sides."""
        target, ends = self.target, ((change.kind, change.record_id), ("company", change.company_id))
        if target is not None:
            self._owe(self._linked(target, change, *sides) for sides in (ends, ends[::-1]))

    def _owe(self, events: Iterable[dict[str, Any]]) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._send)
        self._waiting += events

    def _send(self) -> None:
        events, self._waiting = self._waiting, []
        for start in range(0, len(events), MOST_EVENTS):
            self._post(events[start : start + MOST_EVENTS])

    def _post(self, events: Sequence[dict[str, Any]]) -> None:
        if self.target is not None:
            target = self.target
            headers, body = build_hubspot_delivery(events, target.secret, target.signed_url or target.url, now_ms())
            self._callbacks.post(DELIVERY, target.url, lambda: body, (0.0,), headers)

    def _changed(self, target: EchoTarget, kind: str, record_id: str, name: str, value: Any) -> dict[str, Any]:
        text = "" if value is None else str(value)
        changed = {"objectId": int(record_id), "propertyName": name, "propertyValue": text}
        return self._event(target, f"{kind}.propertyChange", changed)

    def _linked(self, target: EchoTarget, change: LinkChange, one: _Side, other: _Side) -> dict[str, Any]:
        (kind, record_id), (to_kind, to_id) = one, other
        linked = {
            "associationType": f"{kind}_TO_{to_kind}".upper(),
            "fromObjectId": int(record_id),
            "toObjectId": int(to_id),
            "associationRemoved": change.removed,
            "isPrimaryAssociation": change.primary,
        }
        return self._event(target, f"{kind}.associationChange", linked)

    def _event(self, target: EchoTarget, subscription: str, said: dict[str, Any]) -> dict[str, Any]:
        author = {"sourceId": target.app_id} if target.app_id else {}
        return {
            "eventId": next(self._numbers),
            "subscriptionId": 23,
            "portalId": _PORTAL,
            "appId": _APP,
            "attemptNumber": 0,
            "occurredAt": now_ms(),
            "subscriptionType": subscription,
            **said,
            "changeSource": "INTEGRATION",
            **author,
        }
