"""The emulated CRMs from outside: create records, announce them as the senders do, see what was written to them."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from enrichment_dagster.sandbox.signing import build_flow_delivery, build_hubspot_delivery, contact_creation
from enrichment_dagster.supervise.environment import Ports, sandbox_variables

PEOPLE = 24_000
"""People of the emulated world: nobody is met twice in a benchmark, so that no answer comes from the cache."""

_FIRST_SALESFORCE_PERSON = PEOPLE // 2
_STATUS_PROPERTY = {"hubspot": "enrichment_status", "salesforce": "Enrichment_Status__c"}


@dataclass(frozen=True, slots=True)
class Lead:
    """A record that exists in its CRM."""

    system: str
    record_id: str
    email: str
    company: str
    created_ms: int

    @property
    def key(self) -> str:
        """Return its name across systems."""
        return f"{self.system}:{self.record_id}"


class EmulatedCrms:
    """The control interface of a sandbox."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._connection = http.client.HTTPConnection(ports.host, ports.sandbox, timeout=30)
        self._next_salesforce = _FIRST_SALESFORCE_PERSON
        self._seen_writes = 0

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        self._connection.close()

    def set_latency(self, milliseconds: float) -> None:
        """Let every vendor call take this long."""
        self.set_faults({"*": {"latency": milliseconds}})

    def set_faults(self, endpoints: Mapping[str, Any]) -> None:
        """Replace the emulators' fault plan."""
        self._call("PUT", "faults", {"endpoints": dict(endpoints)})

    def create(self, count: int, *, salesforce_share: float = 0.5) -> list[Lead]:
        """Create records of people whom no other record names, of both systems by turns."""
        salesforce = round(count * salesforce_share)
        flow = [self._create_salesforce() for _ in range(salesforce)]
        hubspot = self._create_hubspot(count - salesforce)
        mixed: list[Lead] = []
        while flow or hubspot:
            mixed += [queue.pop(0) for queue in (hubspot, flow) if queue]
        return mixed

    def _create_hubspot(self, count: int) -> list[Lead]:
        if not count:
            return []
        made = self._call("POST", "hubspot/contacts", {"count": count})["records"]
        return [_lead("hubspot", record) for record in made]

    def _create_salesforce(self) -> Lead:
        self._next_salesforce += 1
        return _lead("salesforce", self.make("salesforce/leads", person=self._next_salesforce))

    def make(self, path: str, **what: Any) -> dict[str, Any]:
        """Create a record of any kind (``hubspot/deals``) and return what the emulator tells of it."""
        return self._call("POST", path, what)

    def new_status_writes(self) -> dict[str, float]:
        """Return the records whose status was written since the last call, with the moment (epoch seconds)."""
        writes = self._call("GET", f"crm/writes?since={self._seen_writes}")["writes"]
        self._seen_writes += len(writes)
        return {
            f"{write['system']}:{write['id']}": datetime.fromisoformat(write["at"]).timestamp()
            for write in writes
            if write["field"] == _STATUS_PROPERTY[write["system"]]
        }

    def counters(self) -> dict[str, Any]:
        """Return how often each vendor was called."""
        return self._call("GET", "counters")

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        content = None if body is None else json.dumps(body)
        self._connection.request(method, f"/_sandbox/{path}", content, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        data: dict[str, Any] = json.loads(answer.read())
        self._connection.close()  # one that is kept is ended by the sandbox, when nothing was asked for some minutes
        if answer.status != 200:
            raise RuntimeError(f"the sandbox refused {method} {path}: {data}")
        return data


def _lead(system: str, record: dict[str, Any]) -> Lead:
    return Lead(system, record["id"], record["email"], record["company"], record["created_ms"])


def single_deliveries(leads: Sequence[Lead], ports: Ports) -> list[bytes]:
    """Return one signed webhook call per lead, ready for the wire."""
    return [
        hubspot_delivery([lead], ports) if lead.system == "hubspot" else _flow_delivery(lead, ports) for lead in leads
    ]


def hubspot_delivery(leads: Sequence[Lead], ports: Ports, source: str = "CRM_UI") -> bytes:
    """Return one HubSpot call with an event for each lead; its signature is good for five minutes."""
    path = "/webhooks/hubspot"
    events = [
        contact_creation(int(lead.record_id), int(lead.record_id), lead.created_ms, source=source) for lead in leads
    ]
    secret, url = sandbox_variables(ports)["HUBSPOT_CLIENT_SECRET"], ports.gateway_url + path
    return wire(path, *build_hubspot_delivery(events, secret, url, round(time.time() * 1_000)))


def _flow_delivery(lead: Lead, ports: Ports) -> bytes:
    secret = sandbox_variables(ports)["SALESFORCE_FLOW_SECRET"]
    delivery = build_flow_delivery(lead.record_id, lead.email, lead.company, lead.created_ms, secret)
    return wire("/webhooks/salesforce/flow", *delivery)


def wire(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a POST as it goes over the connection."""
    lines = [f"POST {path} HTTP/1.1", "host: gateway", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join([*lines, f"content-length: {len(body)}"]) + "\r\n\r\n").encode() + body
