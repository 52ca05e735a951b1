"""HubSpot's error bodies. Shapes: Error and StandardError of the HubSpot CRM v3 OpenAPI, usage guidelines for 429."""

from collections.abc import Mapping
from typing import Any

from enrichment_dagster.sandbox.catalogue import CrmField
from enrichment_dagster.sandbox.wire import Header, Response, json_response, new_uuid, retry_after


def unauthorized() -> Response:
    """401: no token, or one this account does not know."""
    return json_response(
        401,
        {
            "status": "error",
            "message": "Authentication credentials not found. This API supports OAuth 2.0 authentication.",
            "correlationId": new_uuid(),
            "category": "INVALID_AUTHENTICATION",
        },
    )


def not_found(headers: tuple[Header, ...] = ()) -> Response:
    """404: no such record."""
    body = {"status": "error", "message": "resource not found", "correlationId": new_uuid()}
    return json_response(404, body | {"category": "OBJECT_NOT_FOUND"}, *headers)


def bad_request(message: str, headers: tuple[Header, ...] = ()) -> Response:
    """400 without details."""
    body = {"status": "error", "message": message, "correlationId": new_uuid(), "category": "VALIDATION_ERROR"}
    return json_response(400, body, *headers)


def validation_error(problems: list[dict[str, Any]], headers: tuple[Header, ...] = ()) -> Response:
    """400 with one entry per property that was refused."""
    body = {
        "status": "error",
        "message": f"Property values were not valid: {problems[0]['message']}",
        "correlationId": new_uuid(),
        "category": "VALIDATION_ERROR",
        "errors": problems,
    }
    return json_response(400, body, *headers)


def property_errors(properties: Mapping[str, Any], catalogue: Mapping[str, CrmField]) -> list[dict[str, Any]]:
    """What is wrong with the properties of one write."""
    found = []
    for name, value in properties.items():
        problem = _problem(name, value, catalogue.get(name))
        if problem is not None:
            code, message = problem
            found.append({"message": message, "in": "name", "code": code, "context": {"propertyName": [name]}})
    return found


def _problem(name: str, value: object, known: CrmField | None) -> tuple[str, str] | None:
    if known is None:
        return "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
    if not known.writable:
        return "READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.'
    if isinstance(value, dict | list):
        return "INVALID_TYPE", f'Property "{name}" cannot be an object or a list'
    return _misfit(name, value, known) if value not in (None, "") else None


def _misfit(name: str, value: object, known: CrmField) -> tuple[str, str] | None:
    if known.kind == "number" and not _is_number(value):
        return "INVALID_LONG", f"{value} was not a valid long."
    if known.choices and value not in known.choices:
        return "INVALID_OPTION", f"{value} was not one of the allowed options"
    if isinstance(value, str) and len(value) > known.length:
        return "PROPERTY_VALUE_TOO_LONG", f'Property "{name}" is longer than {known.length} characters'
    return None


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def missing_objects(ids: list[str], kind: str) -> dict[str, Any]:
    """The one StandardError of a batch read for all ids that are unknown."""
    message = f"Could not get some {kind.upper()} objects, they may be deleted or not exist. Check that ids are valid."
    return standard_error("OBJECT_NOT_FOUND", message, {"ids": ids}, [])


def trace_error(record_id: str, kind: str, trace: object, problems: list[dict[str, Any]]) -> dict[str, Any]:
    """The StandardError of one input of a batch update, with the trace id the input carried."""
    context: dict[str, Any] = {"ids": [record_id]}
    if trace is not None:
        context["objectWriteTraceId"] = [str(trace)]
    if problems:
        return standard_error("VALIDATION_ERROR", problems[0]["message"], context, problems)
    return standard_error("OBJECT_NOT_FOUND", f"{kind.upper()} object not found", context, [])


def standard_error(category: str, message: str, context: dict[str, Any], errors: list[Any]) -> dict[str, Any]:
    """One error of a batch that went through in part."""
    return {
        "status": "error",
        "category": category,
        "message": message,
        "context": context,
        "errors": errors,
        "links": {},
    }


def throttled(_name: str, seconds: float) -> Response:
    """429: the ten-second limit of a private app."""
    body = {
        "status": "error",
        "message": "You have reached your ten_secondly_rolling limit.",
        "errorType": "RATE_LIMIT",
        "correlationId": new_uuid(),
        "policyName": "TEN_SECONDLY_ROLLING",
        "requestId": new_uuid(),
    }
    return json_response(
        429, body, retry_after(seconds), (b"x-hubspot-ratelimit-max", b"190"), (b"x-hubspot-ratelimit-remaining", b"0")
    )


def throttled_search() -> Response:
    """429: the limit of searches. It names no time to wait."""
    body = {
        "status": "error",
        "message": "You have reached your secondly limit.",
        "errorType": "RATE_LIMIT",
        "correlationId": new_uuid(),
        "policyName": "SECONDLY",
        "requestId": new_uuid(),
    }
    return json_response(429, body)


def fault(status: int) -> Response:
    """A 5xx (or another status a fault plan asks for)."""
    return json_response(status, {"status": "error", "message": "internal error", "correlationId": new_uuid()})
