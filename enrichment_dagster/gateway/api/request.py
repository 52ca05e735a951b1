"""Reading a request to ``POST /enrich``: strictly, with every fault named, into an event and what is known."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from enrichment_dagster.domain.event import Event, Lane, RecordRef
from enrichment_dagster.domain.keys import dedup_key, event_id
from enrichment_dagster.domain.normalise import InvalidValueError, normalise_domain
from enrichment_dagster.engine.routing import RESERVE
from enrichment_dagster.errors import IntakeError
from enrichment_dagster.gateway.api.callers import Caller
from enrichment_dagster.gateway.api.models import EnrichRequest
from enrichment_dagster.intake.json_body import parse_json
from enrichment_dagster.intake.salesforce_id import long_id

SOURCE = "api"
MOST_MS = 3_000
_MOST_FAULTS = 10
_MAX_NAME = 60
_MAX_KEY = 255
_HUBSPOT_ID = re.compile(r"[1-9][0-9]{0,39}")
_OBJECTS = {"hubspot": "contact", "salesforce": "lead"}


class InvalidRequest(IntakeError):  # noqa: N818 - named as the HTTP status is
    """The body is JSON, but not what is asked for."""

    status = 422


class UnsupportedMediaType(IntakeError):  # noqa: N818
    """The body does not say that it is JSON."""

    status = 415


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that can be worked on."""

    event: Event
    known: Mapping[str, Any]
    deadline_seconds: float
    is_sync: bool
    callback_url: str
    caller: Caller
    key: str  # the caller's idempotency key; empty where there is none
    body_hash: str


def require_json(content_type: str) -> None:
    """Take only what says that it is JSON.

    Raises:
        UnsupportedMediaType: it says something else, or nothing.
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType("unsupported_media_type", "send Content-Type: application/json")


def read_key(header: str | None) -> str:
    """Return the idempotency key; empty where there is none.

    Raises:
        IntakeError: it is too long or has characters that no key has.
    """
    if header is None:
        return ""
    if not header or len(header) > _MAX_KEY or not (header.isascii() and header.isprintable()):
        raise IntakeError("bad_idempotency_key", f"Idempotency-Key holds 1 to {_MAX_KEY} printable ASCII characters")
    return header


def read_request(body: bytes) -> EnrichRequest:
    """Read and check the fields, each by itself.

    Raises:
        PayloadError: not JSON.
        InvalidRequest: JSON, but not of the documented form; names every field that is wrong.
    """
    value = parse_json(body)
    if not isinstance(value, dict):
        raise InvalidRequest("not_an_object", "the body must be a JSON object")
    try:
        return EnrichRequest.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    unknown = all(fault["type"] == "extra_forbidden" for fault in faults)
    told = "; ".join(_told(fault) for fault in faults[:_MOST_FAULTS])
    raise InvalidRequest("unknown_field" if unknown else "invalid_field", told)


def _told(fault: Any) -> str:
    name = str(fault["loc"][0] if fault["loc"] else "body")
    shown = name.encode("ascii", "backslashreplace").decode()[:_MAX_NAME]
    what = "unknown field" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
    return f"{shown}: {what}"


def make_ask(
    request: EnrichRequest, body: bytes, caller: Caller, key: str, now: datetime, default_seconds: float
) -> Ask:
    """Turn a request into an event.

    Raises:
        InvalidRequest: fields that do not go together.
    """
    domain = _domain(request.domain)
    if not request.email and not domain:
        raise InvalidRequest("nobody", "give email, or at least the domain of a company")
    if bool(request.source_system) != bool(request.source_id):
        raise InvalidRequest("incomplete_record", "source_system and source_id go together")
    is_sync = request.mode == "sync"
    if request.callback_url and is_sync:
        raise InvalidRequest("callback_url_with_sync", "callback_url goes with mode async")
    body_hash = hashlib.sha256(body).hexdigest()
    # The body's hash, because a key may stand for something else after it was forgotten.
    parts = (key, body_hash) if key else (secrets.token_hex(16),)
    dedup = dedup_key("enrich_api", caller.name, *parts)
    seconds = default_seconds if request.deadline_ms is None else min(request.deadline_ms, MOST_MS) / 1_000
    given = {"email": request.email, "company": request.company, "domain": domain}
    event = Event(
        event_id=event_id(dedup),
        dedup_key=dedup,
        event_type=request.event_type,
        source=SOURCE,
        subject=_record(request, event_id(dedup)),
        occurred_at=now,
        received_at=now,
        sender_event_id=key[:200],
        lane=Lane.ROUTING if is_sync else Lane.STANDARD,
        attributes={**{name: value for name, value in given.items() if value}, "caller": caller.name},
        reserved_until=now + timedelta(seconds=seconds) + RESERVE if is_sync else None,
    )
    names = {"email": request.email, "company_name": request.company, "company_domain": domain}
    known = {name: value for name, value in names.items() if value}
    return Ask(event, known, seconds, is_sync, request.callback_url, caller, key, body_hash)


def _domain(text: str) -> str:
    """Return the registrable domain; what is none is left out, as a CRM's junk is."""
    try:
        return normalise_domain(text) if text else ""
    except InvalidValueError:
        return ""


def _record(request: EnrichRequest, own_id: str) -> RecordRef:
    if not request.source_id:
        return RecordRef(SOURCE, "request", own_id)
    system = request.source_system.lower()
    kind = request.source_object.lower() or _OBJECTS.get(system, "record")
    record_id: str | None = request.source_id
    if system == "salesforce":
        record_id = long_id(request.source_id)
    elif system == "hubspot" and not _HUBSPOT_ID.fullmatch(request.source_id):
        record_id = None
    if record_id is None:
        raise InvalidRequest("bad_source_id", f"source_id is no {system} record id")
    return RecordRef(system, kind, record_id)
