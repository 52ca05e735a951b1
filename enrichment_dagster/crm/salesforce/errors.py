"""What Salesforce's error codes mean. The code decides and not the status: a collection answers 200 with failures.

Source: REST API Developer Guide (status codes and error responses) and SOAP API Developer Guide (StatusCode).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from enrichment_dagster.crm.batches import BatchRefusedError
from enrichment_dagster.errors import CrmError
from enrichment_dagster.http import RemoteClient, Reply
from enrichment_dagster.ports import CrmFailure

INVALID_ID = "invalid_id"
_LOCKED = "UNABLE_TO_LOCK_ROW"
_CODES: Mapping[str, tuple[str, bool]] = {
    _LOCKED: ("locked", True),
    "SERVER_UNAVAILABLE": ("unavailable", True),
    "UNKNOWN_EXCEPTION": ("server_error", True),
    "QUERY_TIMEOUT": ("timeout", True),
    "REQUEST_RUNNING_TOO_LONG": ("timeout", True),
    "REQUEST_LIMIT_EXCEEDED": ("daily_limit", True),
    "NOT_FOUND": ("not_found", False),
    "ENTITY_IS_DELETED": ("not_found", False),
    "INVALID_CROSS_REFERENCE_KEY": ("not_found", False),
    "MALFORMED_ID": (INVALID_ID, False),
    "INVALID_QUERY_FILTER_OPERATOR": (INVALID_ID, False),  # "invalid ID field": of queries by id
    "CANNOT_UPDATE_CONVERTED_LEAD": ("converted", False),
    "DUPLICATES_DETECTED": ("conflict", False),
    "DUPLICATE_VALUE": ("conflict", False),
    "INSUFFICIENT_ACCESS_OR_READONLY": ("forbidden", False),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": ("forbidden", False),
    "INVALID_SESSION_ID": ("unauthorized", False),
    "API_DISABLED_FOR_ORG": ("forbidden", False),
    **dict.fromkeys(
        (
            "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "INVALID_EMAIL_ADDRESS",
            "INVALID_FIELD",
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            "JSON_PARSER_ERROR",
            "NUMBER_OUTSIDE_VALID_RANGE",
            "REQUIRED_FIELD_MISSING",
            "STRING_TOO_LONG",
        ),
        ("validation", False),
    ),
}
_REJECTED = ("rejected", False)
_DAILY_WAIT_SECONDS = 3_600.0  # the limit counts the last 24 hours, so that some of it comes back every hour
_BAD_REQUEST = 400
_OWN_RULE = "FIELD_CUSTOM_VALIDATION_EXCEPTION"  # a validation rule of the account
_NO_SUCH_COLUMN = re.compile(r"No such column '([A-Za-z0-9_]+)' on (?:sobject|entity)")  # of writes and of queries


def code_of(reply: Reply) -> str:
    """Return the code of a REST error, ``[{message, errorCode}]``; empty where the body is something else."""
    first = reply.body[0] if isinstance(reply.body, list) and reply.body else None
    return str(first.get("errorCode") or "") if isinstance(first, dict) else ""


def failure_of(errors: Any, client: RemoteClient) -> CrmFailure:
    """Return what a collection's result says of one record: ``errors`` is ``[{statusCode, message, fields}]``."""
    told = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    first = told[0] if told else {}
    code = str(first.get("statusCode") or first.get("errorCode") or "")
    # A trigger that finds a row locked ends with a code of its own and tells the cause in its message.
    locked = _LOCKED if _LOCKED in str(first.get("message")) else ""
    reason, transient = _CODES.get(locked or code, _REJECTED)
    fields = frozenset(name for error in told for name in _fields(error))
    return CrmFailure(reason, transient, client.show(f"{code}: {_words(first, code)}"), fields)


def _fields(error: Mapping[str, Any]) -> list[str]:
    listed = error.get("fields")
    named = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    return named or _NO_SUCH_COLUMN.findall(str(error.get("message")))


def _words(error: Mapping[str, Any], code: str) -> str:
    """Return what an error says without the value that it is about; an administrator's own message as it is."""
    fields = _fields(error)
    return ", ".join(fields) if fields and code != _OWN_RULE else str(error.get("message") or "")


def refused(reply: Reply, client: RemoteClient) -> CrmError | BatchRefusedError:
    """Return what an error reply stands for: Salesforce as a whole, or something in this call."""
    code = code_of(reply)
    if reply.status == _BAD_REQUEST and code and _CODES.get(code, _REJECTED)[0] in {"validation", "rejected"}:
        columns = _NO_SUCH_COLUMN.findall(str(reply.body))
        return BatchRefusedError(failure_of(reply.body, client), frozenset(columns))
    plain = client.refusal(reply)
    if code not in _CODES:
        return plain if isinstance(plain, CrmError) else CrmError(plain.reason, transient=plain.transient)
    reason, transient = _CODES[code]
    wait = plain.retry_after_seconds
    return CrmError(
        reason,
        plain.detail,
        transient=transient,
        http_status=reply.status,
        retry_after_seconds=_DAILY_WAIT_SECONDS if reason == "daily_limit" and wait is None else wait,
    )
