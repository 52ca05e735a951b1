"""HubSpot CRM v3 contacts: read, update, batch read, batch update.

Shapes, batch size and 207 answers: HubSpot CRM v3 OpenAPI. Rate-limit headers and the 429 body: HubSpot's
usage guidelines. Ids are strings here and integers in webhooks; all property values are strings.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from enrichment_dagster.sandbox.catalogue import HUBSPOT_CONTACT
from enrichment_dagster.sandbox.config import SandboxConfig
from enrichment_dagster.sandbox.crm_store import CrmStore, Record, iso_ms
from enrichment_dagster.sandbox.hubspot_errors import (
    bad_request,
    fault,
    missing_objects,
    not_found,
    property_errors,
    throttled,
    trace_error,
    unauthorized,
    validation_error,
)
from enrichment_dagster.sandbox.windows import FixedWindow
from enrichment_dagster.sandbox.wire import Endpoint, Header, Request, Response, bearer, json_response, now_ms

MAX_BATCH = 100
PER_TEN_SECONDS = 190
PER_DAY = 625_000
_BASE = "/hubspot/crm/v3/objects/contacts"
_DEFAULT_PROPERTIES = ("email", "firstname", "lastname")


class HubSpot:
    """Answers HubSpot's contact calls from a CRM store."""

    def __init__(self, config: SandboxConfig, store: CrmStore) -> None:
        self._config = config
        self._store = store
        self._window = FixedWindow(10)
        self._day = FixedWindow(86_400)

    def routes(self) -> dict[tuple[str, str], Endpoint]:
        """Method and path of each call; a trailing `/` stands for any one last segment."""
        return {
            ("GET", f"{_BASE}/"): Endpoint("hubspot.contact_read", self.read, _tail, bearer, fault, throttled),
            ("PATCH", f"{_BASE}/"): Endpoint("hubspot.contact_update", self.update, _tail, bearer, fault, throttled),
            ("POST", f"{_BASE}/batch/read"): Endpoint(
                "hubspot.batch_read", self.batch_read, _input_ids, bearer, fault, throttled
            ),
            ("POST", f"{_BASE}/batch/update"): Endpoint(
                "hubspot.batch_update", self.batch_update, _input_ids, bearer, fault, throttled
            ),
        }

    def read(self, request: Request) -> Response:
        """GET one contact by id, or by e-mail with idProperty=email."""
        refused = self._refused(request)
        if refused:
            return refused
        record = self._find(request.tail, request.query.get("idProperty"))
        if record is None:
            return not_found(self._headers(request))
        wanted = [name for name in request.query.get("properties", "").split(",") if name]
        return json_response(200, _contact(record, wanted or _DEFAULT_PROPERTIES), *self._headers(request))

    def update(self, request: Request) -> Response:
        """PATCH one contact."""
        refused = self._refused(request)
        if refused:
            return refused
        headers = self._headers(request)
        record = self._find(request.tail, request.query.get("idProperty"))
        if record is None:
            return not_found(headers)
        properties = request.json_object.get("properties")
        if not isinstance(properties, dict):
            return bad_request("Invalid input JSON: properties is missing", headers)
        problems = property_errors(properties, HUBSPOT_CONTACT)
        if problems:
            return validation_error(problems, headers)
        self._store.update(record, as_strings(properties))
        return json_response(200, _contact(record, list(properties)), *headers)

    def batch_read(self, request: Request) -> Response:
        """POST batch/read: 200, or 207 when ids are unknown."""
        inputs, refused = self._batch(request)
        if refused:
            return refused
        body = request.json_object
        id_property = body.get("idProperty")
        wanted = body.get("properties") or _DEFAULT_PROPERTIES
        if not isinstance(wanted, list | tuple) or not all(isinstance(name, str) for name in wanted):
            return bad_request("Invalid input JSON: properties is a list of names", self._headers(request))
        found: list[Record] = []
        missing: list[str] = []
        for item in inputs:
            record = self._find(str(item.get("id", "")), id_property)
            if record is None:
                missing.append(str(item.get("id", "")))
            else:
                found.append(record)
        errors = [missing_objects(missing)] if missing else []
        return self._batch_answer(request, [_contact(record, wanted) for record in found], errors)

    def batch_update(self, request: Request) -> Response:
        """POST batch/update: partial success only for inputs that carry an objectWriteTraceId, as documented."""
        inputs, refused = self._batch(request)
        if refused:
            return refused
        ids = [str(item.get("id", "")) for item in inputs]
        if len(set(ids)) != len(ids):
            return bad_request("Duplicate IDs found in batch input. IDs must be unique", self._headers(request))
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        planned: list[tuple[Record, Mapping[str, Any], str | None]] = []
        for item in inputs:
            properties = _properties(item)
            problems = property_errors(properties, HUBSPOT_CONTACT)
            trace = item.get("objectWriteTraceId")
            record = self._find(str(item.get("id", "")), item.get("idProperty"))
            if problems and trace is None:
                return validation_error(problems, self._headers(request))
            if problems or record is None:
                errors.append(trace_error(str(item.get("id", "")), trace, problems))
            else:
                planned.append((record, as_strings(properties), trace))
        for record, changes, trace in planned:
            self._store.update(record, changes, trace)
            results.append(_contact(record, list(changes)) | ({"objectWriteTraceId": trace} if trace else {}))
        return self._batch_answer(request, results, errors)

    def _batch(self, request: Request) -> tuple[list[dict[str, Any]], Response | None]:
        refused = self._refused(request)
        if refused:
            return [], refused
        inputs = request.json_object.get("inputs")
        if not isinstance(inputs, list) or not all(isinstance(item, dict) for item in inputs):
            return [], bad_request("Invalid input JSON: inputs is missing", self._headers(request))
        if len(inputs) > MAX_BATCH:
            message = f"The maximum number of inputs supported in a batch request for property objects is {MAX_BATCH}"
            return [], bad_request(message, self._headers(request))
        return inputs, None

    def _batch_answer(self, request: Request, results: list[Any], errors: list[Any]) -> Response:
        moment = iso_ms(now_ms())
        body: dict[str, Any] = {
            "status": "COMPLETE",
            "results": results,
            "startedAt": moment,
            "completedAt": moment,
        }
        if errors:
            body |= {"numErrors": len(errors), "errors": errors}
        return json_response(207 if errors else 200, body, *self._headers(request))

    def _find(self, value: str, id_property: object) -> Record | None:
        if id_property == "email":
            return self._store.by_email(value)
        return self._store.records.get(value)

    def _refused(self, request: Request) -> Response | None:
        return None if self._config.accepts_key(bearer(request)) else unauthorized()

    def _headers(self, request: Request) -> tuple[Header, ...]:
        key = bearer(request)
        left, left_today = PER_TEN_SECONDS - self._window.add(key), PER_DAY - self._day.add(key)
        return (
            (b"x-hubspot-ratelimit-max", b"%d" % PER_TEN_SECONDS),
            (b"x-hubspot-ratelimit-remaining", b"%d" % max(0, left)),
            (b"x-hubspot-ratelimit-interval-milliseconds", b"10000"),
            (b"x-hubspot-ratelimit-daily", b"%d" % PER_DAY),
            (b"x-hubspot-ratelimit-daily-remaining", b"%d" % max(0, left_today)),
        )


def _properties(item: Mapping[str, Any]) -> dict[str, Any]:
    given = item.get("properties")
    return given if isinstance(given, dict) else {}


def _tail(request: Request) -> tuple[str, ...]:
    return (request.tail,)


def _input_ids(request: Request) -> tuple[str, ...]:
    inputs = request.json_object.get("inputs")
    if not isinstance(inputs, list):
        return ()
    return tuple(str(item.get("id", "")) for item in inputs if isinstance(item, dict))


def as_strings(properties: Mapping[str, Any]) -> dict[str, str]:
    """HubSpot keeps every value as a string; null clears as an empty string does."""
    return {name: _as_string(value) for name, value in properties.items()}


def _as_string(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _contact(record: Record, wanted: Sequence[str]) -> dict[str, Any]:
    """SimplePublicObject: the wanted properties (null when never set) and the three that always come along."""
    created, updated = iso_ms(record.created_ms), iso_ms(record.updated_ms)
    properties = {name: record.fields.get(name) for name in wanted if name in HUBSPOT_CONTACT}
    properties |= {"createdate": created, "hs_object_id": record.id, "lastmodifieddate": updated}
    return {
        "id": record.id,
        "properties": dict(sorted(properties.items())),
        "createdAt": created,
        "updatedAt": updated,
        "archived": False,
    }
