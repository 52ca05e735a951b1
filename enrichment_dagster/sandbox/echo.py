"""The webhooks that HubSpot sends of a client's own writes: each changed property comes back, signed, a moment later.

Shapes: developers.hubspot.com, "Webhooks API" (a batch of up to 100 events, ``contact.propertyChange`` with name and
value). The words of the origin are those of a capture: ``INTEGRATION`` and the id of the app that wrote.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from enrichment_dagster.sandbox.callbacks import Callbacks
from enrichment_dagster.sandbox.signing import build_hubspot_delivery
from enrichment_dagster.sandbox.wire import now_ms

DELIVERY = "hubspot.webhook"
MOST_EVENTS = 100
_PORTAL, _APP = 62515, 54321


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
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._send)
        self._waiting += [self._event(target, kind, record_id, name, new) for name, old, new in changes if new != old]

    def _send(self) -> None:
        events, self._waiting = self._waiting, []
        for start in range(0, len(events), MOST_EVENTS):
            self._post(events[start : start + MOST_EVENTS])

    def _post(self, events: Sequence[dict[str, Any]]) -> None:
        if self.target is not None:
            target = self.target
            headers, body = build_hubspot_delivery(events, target.secret, target.signed_url or target.url, now_ms())
            self._callbacks.post(DELIVERY, target.url, lambda: body, (0.0,), headers)

    def _event(self, target: EchoTarget, kind: str, record_id: str, name: str, value: Any) -> dict[str, Any]:
        author = {"sourceId": target.app_id} if target.app_id else {}
        return {
            "eventId": next(self._numbers),
            "subscriptionId": 23,
            "portalId": _PORTAL,
            "appId": _APP,
            "attemptNumber": 0,
            "occurredAt": now_ms(),
            "subscriptionType": f"{kind}.propertyChange",
            "objectId": int(record_id),
            "propertyName": name,
            "propertyValue": "" if value is None else str(value),
            "changeSource": "INTEGRATION",
            **author,
        }
