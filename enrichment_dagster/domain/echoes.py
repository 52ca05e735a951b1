"""Events that our own writes cause, and how they are told: none of them may start an enrichment.

An enrichment writes to a record, the CRM reports the change; taken for an event like any other it would start the next
enrichment of that record, again and again, at our cost. Three signs tell it, the surest first:

1. its origin: the CRM names our app as the author (HubSpot ``changeSource`` and ``sourceId``, Salesforce
   ``changeOrigin``);
2. its value: it reports a value that we wrote to this property of this record at that time;
3. its cause: it comes from the CRM right after a write of ours, and no person is named as its origin. One such step may
   be wanted (a workflow goes on with what we found); a second one in a row is a loop and is refused.

What senders say of a change stands in ``Event.attributes``: ``propertyName``, ``propertyValue``, ``changeSource`` and
``sourceId`` in HubSpot's spelling, ``association`` and ``company_id`` of a contact that was linked to a company;
``changeOrigin`` and ``changeType`` in Salesforce's, and ``changed``: the fields that were changed, with new values.

Sources: developers.hubspot.com, "Webhooks API"; Salesforce "Change Data Capture Developer Guide", ChangeEventHeader.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.keys import COMPANY_PREFIX

OWN_WRITE = "own_write"
"""The reason of an event that reports what we wrote."""
CAUSALITY_DEPTH = "causality_depth"
"""The reason of an event that a second enrichment in a row caused."""
LOOP_REASONS = (OWN_WRITE, CAUSALITY_DEPTH)

MAX_DEPTH = 1
CLOCK_SKEW = timedelta(minutes=2)
"""How far the CRM's clock may be off, and how long after its claim a write may be sent."""
CAUSED_WITHIN = timedelta(minutes=5)
"""What a write sets off in the CRM follows this soon; what comes later has a cause of its own."""

COMPARED_CHARACTERS = 500
"""Of a value; senders keep no more than the beginning of a long one."""

COMPANY_LINK = "@company"
"""Stands among a HubSpot record's properties for the company that it is associated with."""

_HIDDEN = "REDACTED"  # HubSpot sends it in place of a sensitive property's value
_ANY = "*"  # the fingerprint of a company that is looked up when it is written
_LINKS = frozenset({COMPANY_LINK, "accountid"})
_RELAYS = frozenset({"clay", "cloudevents", "standard_webhooks"})
"""Senders that pass on what tools made of a CRM's change: a workflow in n8n, a table in Clay."""
_INTEGRATION = "INTEGRATION"
_NO_API = frozenset(
    {
        "CRM",
        "CRM_UI",
        "CRM_UI_BULK_ACTION",
        "CONTACTS",
        "CONTACTS_WEB",
        "MOBILE_ANDROID",
        "MOBILE_IOS",
        "FORM",
        "IMPORT",
    }
)
"""HubSpot's words for changes that people make: neither an app of ours nor a workflow is behind them."""
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(E[+-]?[0-9]{1,3})?", re.IGNORECASE)  # not "01234", not "+49"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_SEPARATOR = ";"  # between the choices of a multi-select, in either CRM
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OwnMarks:
    """How the CRMs name us as the author of a change; empty where that is not known."""

    hubspot_app_id: str = ""
    salesforce_client: str = ""


@dataclass(frozen=True, slots=True)
class OwnWrite:
    """One write of ours to a record, noted before it was sent."""

    event_id: str  # the event that led to it
    depth: int  # of that event
    fingerprints: Mapping[str, str]  # by property, see ``fingerprints``
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Echo:
    """What an event has to do with our writes. ``reason`` is empty where it may be enriched all the same."""

    reason: str
    caused_by: str  # the event whose write caused it; empty where only its origin tells that it is ours
    depth: int


def fingerprints(ref: RecordRef, properties: Mapping[str, Any]) -> dict[str, str]:
    """Return what a change of these properties of the record will be known again by.

    Values are compared as CRMs give them back: numbers as text, moments as milliseconds, choices in another order.
    Salesforce does not tell upper from lower case in a field's name.
    """
    return {
        name.lower(): _ANY if _is_looked_up(name, value) else _fingerprint(ref, name, value)
        for name, value in properties.items()
        if value is not None
    }


def _is_looked_up(name: str, value: Any) -> bool:
    """Say whether a value is a company that is not known by its record yet."""
    return name.lower() in _LINKS and str(value).startswith(COMPANY_PREFIX)


def is_ours(event: Event, marks: OwnMarks) -> bool:
    """Say whether the CRM names us as the author."""
    said = event.attributes
    if event.subject.system == "hubspot":
        return (
            bool(marks.hubspot_app_id)
            and said.get("changeSource") == _INTEGRATION
            and said.get("sourceId") == marks.hubspot_app_id
        )
    parts = str(said.get("changeOrigin")).split(";")
    return bool(marks.salesforce_client) and f"client={marks.salesforce_client}" in parts


def may_be_echo(event: Event) -> bool:
    """Say whether a write of ours can have caused the event at all, so that our writes have to be looked up.

    That is the word of a CRM, or of a tool that hears of its changes, on a record that was there already; and it is not
    the work of a person.
    """
    said, system = event.attributes, event.subject.system
    of_crm = event.source == system or event.source.startswith(f"{system}_") or event.source in _RELAYS
    created = str(said.get("subscriptionType")).endswith(".creation") or said.get("changeType") == "CREATE"
    return of_crm and not created and str(said.get("changeSource")) not in _NO_API


def judge(event: Event, writes: Iterable[OwnWrite], marks: OwnMarks) -> Echo | None:
    """Say what an event has to do with our writes to its record; None: nothing."""
    near = [write for write in writes if _reaches(write, event.occurred_at, CAUSED_WITHIN)]
    if is_ours(event, marks):
        return _echo(OWN_WRITE, near)
    if not near or not may_be_echo(event):
        return None
    if same := [write for write in near if _reports(event, write)]:
        return _echo(OWN_WRITE, same)
    found = _echo("", near)
    return found if found.depth <= MAX_DEPTH else Echo(CAUSALITY_DEPTH, found.caused_by, found.depth)


def _echo(reason: str, causes: Sequence[OwnWrite]) -> Echo:
    last = max(causes, key=lambda write: write.last_at, default=None)
    depth = max((write.depth for write in causes), default=0) + 1
    return Echo(reason, last.event_id if last else "", depth)


def _reaches(write: OwnWrite, at: datetime, after: timedelta) -> bool:
    return write.first_at - CLOCK_SKEW <= at <= write.last_at + after


def _reports(event: Event, write: OwnWrite) -> bool:
    """Say whether the event tells of a value that was written; one is enough, for one transaction makes one event."""
    if not _reaches(write, event.occurred_at, CLOCK_SKEW):
        return False
    for name, value in _changes(event.attributes).items():
        written = write.fingerprints.get(name.lower())
        if written is None:
            continue
        if written == _ANY or value == _HIDDEN or written == _fingerprint(event.subject, name, value):
            return True
    return False


def _changes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    name, changed = attributes.get("propertyName"), attributes.get("changed")
    if isinstance(name, str) and name:
        return {name: attributes.get("propertyValue")}
    if attributes.get("association"):
        return {COMPANY_LINK: attributes.get("company_id")}
    return changed if isinstance(changed, Mapping) else {}


def _fingerprint(ref: RecordRef, name: str, value: Any) -> str:
    """Return a short hash: the record and the property are in it, so that it says nothing of another record's value."""
    told = f"{ref.key}\n{name.lower()}\n{canonical(value)}"
    return hashlib.blake2b(told.encode("utf-8", "replace"), digest_size=8).hexdigest()


def canonical(value: Any) -> str:
    """Return a form in which a value that was written and the same value as a CRM reports it are equal."""
    text = _text(value).strip()
    if len(text) > COMPARED_CHARACTERS:
        return text[:COMPARED_CHARACTERS]
    if _NUMBER.fullmatch(text):
        return _number(text)
    if _MOMENT.fullmatch(text):
        return _moment(text)
    if _SEPARATOR in text:
        return _SEPARATOR.join(sorted({part.strip() for part in text.split(_SEPARATOR)} - {""}))
    return text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return _SEPARATOR.join(_text(part) for part in value)
    return str(value)


def _number(text: str) -> str:
    return repr(float(text) + 0.0)  # no -0.0; neither CRM tells numbers apart that a float does not


def _moment(text: str) -> str:
    """Return milliseconds since 1970, as HubSpot and the Pub/Sub API report moments."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return text
    moment = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return _number(str((moment - _EPOCH) // timedelta(milliseconds=1)))
