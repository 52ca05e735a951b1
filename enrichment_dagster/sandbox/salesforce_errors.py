"""Salesforce's error bodies: a JSON array for REST, an object for OAuth, per-record errors for collections."""

from collections.abc import Mapping
from typing import Any

from enrichment_dagster.sandbox.catalogue import CrmField
from enrichment_dagster.sandbox.wire import Header, Request, Response, json_response, retry_after

_LOCKED = "unable to obtain exclusive access to this record or 1 records: "


def problem(
    status: int, code: str, message: str, fields: list[str] | None = None, headers: tuple[Header, ...] = ()
) -> Response:
    """A REST error: an array of {message, errorCode, fields?}."""
    entry: dict[str, Any] = {"message": message, "errorCode": code}
    if fields is not None:
        entry["fields"] = fields
    return json_response(status, [entry], *headers)


def token_problem(error: str, description: str, status: int = 400) -> Response:
    """An error of the OAuth endpoint."""
    return json_response(status, {"error": error, "error_description": description})


def token_fault(status: int) -> Response:
    """A 5xx of the OAuth endpoint."""
    return token_problem("server_error", "an internal error has occurred", status)


def failed_result(code: str, message: str, fields: list[str] | None = None) -> dict[str, Any]:
    """The result of one refused record of a collection."""
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": fields or []}]}


def fault(status: int) -> Response:
    """A 5xx (or another status a fault plan asks for)."""
    return problem(status, "SERVER_UNAVAILABLE", "The server is too busy to handle the request.")


def throttled(_name: str, seconds: float) -> Response:
    """Salesforce has no 429 for its daily limit: it is 403 REQUEST_LIMIT_EXCEEDED."""
    return problem(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", headers=(retry_after(seconds),))


def locked_record(request: Request) -> Response:
    """Another transaction holds the record."""
    return problem(400, "UNABLE_TO_LOCK_ROW", _LOCKED + request.tail, [])


def locked_collection(request: Request) -> Response:
    """Another transaction holds a row: here every record of the call fails, with HTTP 200."""
    records = request.json_object.get("records")
    if not isinstance(records, list):
        records = []
    ids = [str(record.get("id", "")) for record in records if isinstance(record, dict)]
    return json_response(200, [failed_result("UNABLE_TO_LOCK_ROW", _LOCKED + record_id) for record_id in ids])


def field_problem(changes: Mapping[str, Any], sobject: str, known: Mapping[str, CrmField]) -> dict[str, Any] | None:
    """The first thing wrong with the fields of one write, as {statusCode, message, fields}."""
    for name, value in changes.items():
        found = _problem(name, value, sobject, known.get(name))
        if found is not None:
            code, message, fields = found
            return {"statusCode": code, "message": message, "fields": fields}
    return None


def _problem(name: str, value: object, sobject: str, known: CrmField | None) -> tuple[str, str, list[str]] | None:
    if known is None:
        return "INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject}", []
    if not known.writable:
        message = (
            f"Unable to create/update fields: {name}. Please check the security settings of this field and verify "
            "that it is read/write for your profile or permission set."
        )
        return "INVALID_FIELD_FOR_INSERT_UPDATE", message, [name]
    if value is None:
        return None
    if isinstance(value, str) and known.kind in ("text", "datetime") and len(value) > known.length:
        return "STRING_TOO_LONG", f"{name}: data value too large (max length={known.length})", [name]
    return _type_problem(value, known)


_JAVA_TYPES = {"text": "string", "number": "double", "integer": "int", "boolean": "boolean", "datetime": "datetime"}


def _type_problem(value: object, known: CrmField) -> tuple[str, str, list[str]] | None:
    fits = {
        "text": isinstance(value, str),
        "datetime": isinstance(value, str) and len(value) >= 19 and value[10] == "T",
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
    }
    if fits[known.kind]:
        return None
    return "JSON_PARSER_ERROR", f"Cannot deserialize instance of {_JAVA_TYPES[known.kind]} from value {value}", []
