"""HubSpot CRM v3 objects: read, update, batch read, batch update, search.

Shapes, batch size and 207 answers: HubSpot CRM v3 OpenAPI. Rate-limit headers and the 429 body: HubSpot's
usage guidelines. Ids are strings here and integers in webhooks; all property values are strings.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from enrichment_dagster.sandbox.crm_kinds import CrmKind
from enrichment_dagster.sandbox.crm_store import CrmStore, Record, iso_ms
from enrichment_dagster.sandbox.hubspot_errors import (
    bad_request,
    fault,
    missing_objects,
    not_found,
    property_errors,
    throttled,
    trace_error,
    validation_error,
)
from enrichment_dagster.sandbox.hubspot_limits import HubSpotLimits
from enrichment_dagster.sandbox.hubspot_search import MOST_CHARACTERS, SearchError, search
from enrichment_dagster.sandbox.wire import Endpoint, Request, Response, bearer, json_response, now_ms

MAX_BATCH = 100


class HubSpotObjects:
    """Answers HubSpot's calls for one kind of record from a CRM store."""

    def __init__(self, kind: CrmKind, store: CrmStore, limits: HubSpotLimits) -> None:
        self._kind = kind
        self._store = store
        self._limits = limits

    def routes(self) -> Iterator[tuple[tuple[str, str], Endpoint]]:
        """Method and path of each call; a trailing `/` stands for any one last segment."""
        base, kind = f"/hubspot/crm/v3/objects/{self._kind.path}", self._kind.name
        batch = "" if kind == "contact" else f"{kind}_"  # contacts came first, and keep their calls' names
        for method, path, name, handle, subjects in (
            ("GET", "/", f"{kind}_read", self.read, _tail),
            ("PATCH", "/", f"{kind}_update", self.update, _tail),
            ("POST", "/batch/read", f"{batch}batch_read", self.batch_read, _input_ids),
            ("POST", "/batch/update", f"{batch}batch_update", self.batch_update, _input_ids),
            ("POST", "/search", f"{kind}_search", self.search, _no_ids),
        ):
            yield (method, base + path), Endpoint(f"hubspot.{name}", handle, subjects, bearer, fault, throttled)

    def read(self, request: Request) -> Response:
        """GET one record by id, or a contact by e-mail with idProperty=email."""
        refused = self._limits.refused(request)
        if refused:
            return refused
        record = self._find(request.tail, request.query.get("idProperty"))
        if record is None:
            return not_found(self._limits.headers(request))
        wanted = [name for name in request.query.get("properties", "").split(",") if name]
        return json_response(200, self._shown(record, wanted or self._kind.always), *self._limits.headers(request))

    def update(self, request: Request) -> Response:
        """PATCH one record."""
        refused = self._limits.refused(request)
        if refused:
            return refused
        headers = self._limits.headers(request)
        record = self._find(request.tail, request.query.get("idProperty"))
        if record is None:
            return not_found(headers)
        properties = request.json_object.get("properties")
        if not isinstance(properties, dict):
            return bad_request("Invalid input JSON: properties is missing", headers)
        problems = property_errors(properties, self._kind.fields)
        if problems:
            return validation_error(problems, headers)
        self._store.update(record, as_strings(properties))
        return json_response(200, self._shown(record, list(properties)), *headers)

    def batch_read(self, request: Request) -> Response:
        """POST batch/read: 200, or 207 when ids are unknown."""
        inputs, refused = self._batch(request)
        if refused:
            return refused
        body = request.json_object
        id_property = body.get("idProperty")
        wanted = body.get("properties") or self._kind.always
        if not isinstance(wanted, list | tuple) or not all(isinstance(name, str) for name in wanted):
            return bad_request("Invalid input JSON: properties is a list of names", self._limits.headers(request))
        found: list[Record] = []
        missing: list[str] = []
        for item in inputs:
            record = self._find(str(item.get("id", "")), id_property)
            if record is None:
                missing.append(str(item.get("id", "")))
            else:
                found.append(record)
        errors = [missing_objects(missing, self._kind.name)] if missing else []
        return self._batch_answer(request, [self._shown(record, wanted) for record in found], errors)

    def batch_update(self, request: Request) -> Response:
        """POST batch/update: partial success only for inputs that carry an objectWriteTraceId, as documented."""
        inputs, refused = self._batch(request)
        if refused:
            return refused
        ids = [str(item.get("id", "")) for item in inputs]
        if len(set(ids)) != len(ids):
            return bad_request("Duplicate IDs found in batch input. IDs must be unique", self._limits.headers(request))
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        planned: list[tuple[Record, Mapping[str, Any], str | None]] = []
        for item in inputs:
            properties = _properties(item)
            problems = property_errors(properties, self._kind.fields)
            trace = item.get("objectWriteTraceId")
            record = self._find(str(item.get("id", "")), item.get("idProperty"))
            if problems and trace is None:
                return validation_error(problems, self._limits.headers(request))
            if problems or record is None:
                errors.append(trace_error(str(item.get("id", "")), self._kind.name, trace, problems))
            else:
                planned.append((record, as_strings(properties), trace))
        for record, changes, trace in planned:
            self._store.update(record, changes, trace)
            results.append(self._shown(record, list(changes)) | ({"objectWriteTraceId": trace} if trace else {}))
        return self._batch_answer(request, results, errors)

    def search(self, request: Request) -> Response:
        """POST search. Its answers carry no rate-limit headers."""
        refused = self._limits.refused(request) or self._limits.refused_search(request)
        if refused:
            return refused
        body = request.json_object
        if len(request.body) > MOST_CHARACTERS:
            return bad_request(f"The request body is longer than {MOST_CHARACTERS} characters")
        try:
            found, total, after = search(self._store, body)
        except (SearchError, AttributeError, KeyError, TypeError) as error:
            return bad_request(f"Invalid input JSON: {error}")
        wanted = body.get("properties") or self._kind.always
        answer: dict[str, Any] = {"total": total, "results": [self._shown(record, wanted) for record in found]}
        if after:
            answer["paging"] = {"next": {"after": after, "link": f"?after={after}"}}
        return json_response(200, answer)

    def _batch(self, request: Request) -> tuple[list[dict[str, Any]], Response | None]:
        refused = self._limits.refused(request)
        if refused:
            return [], refused
        inputs = request.json_object.get("inputs")
        if not isinstance(inputs, list) or not all(isinstance(item, dict) for item in inputs):
            return [], bad_request("Invalid input JSON: inputs is missing", self._limits.headers(request))
        if len(inputs) > MAX_BATCH:
            message = f"The maximum number of inputs supported in a batch request for property objects is {MAX_BATCH}"
            return [], bad_request(message, self._limits.headers(request))
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
        return json_response(207 if errors else 200, body, *self._limits.headers(request))

    def _find(self, value: str, id_property: object) -> Record | None:
        if id_property == "email":
            return self._store.by_email(value)
        return self._store.records.get(value)

    def _shown(self, record: Record, wanted: Sequence[str]) -> dict[str, Any]:
        """SimplePublicObject: the wanted properties (null when never set) and the three that always come along."""
        created, updated = iso_ms(record.created_ms), iso_ms(record.updated_ms)
        properties = {name: record.fields.get(name) for name in wanted if name in self._kind.fields}
        modified = "lastmodifieddate" if self._kind.name == "contact" else "hs_lastmodifieddate"
        properties |= {"createdate": created, "hs_object_id": record.id, modified: updated}
        return {
            "id": record.id,
            "properties": dict(sorted(properties.items())),
            "createdAt": created,
            "updatedAt": updated,
            "archived": False,
        }


def _properties(item: Mapping[str, Any]) -> dict[str, Any]:
    given = item.get("properties")
    return given if isinstance(given, dict) else {}


def _tail(request: Request) -> tuple[str, ...]:
    return (request.tail,)


def _no_ids(_: Request) -> tuple[str, ...]:
    return ()


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
