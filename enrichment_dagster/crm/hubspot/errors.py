"""What HubSpot's error bodies mean. Source: CRM v3 OpenAPI (Error, StandardError) and the usage guidelines (429)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from enrichment_dagster.crm.batches import BatchRefusedError
from enrichment_dagster.errors import CrmError
from enrichment_dagster.http import RemoteClient, Reply
from enrichment_dagster.ports import CrmFailure

_CATEGORIES: Mapping[str, tuple[str, bool]] = {
    "VALIDATION_ERROR": ("validation", False),
    "OBJECT_NOT_FOUND": ("not_found", False),
    "CONFLICT": ("conflict", False),
    "OBJECT_ALREADY_EXISTS": ("conflict", False),
    "MISSING_SCOPES": ("forbidden", False),
    "RATE_LIMITS": ("throttled", True),
}
_NO_SUCH_PROPERTY = frozenset({"PROPERTY_DOESNT_EXIST", "READ_ONLY_VALUE"})
_REFUSED_FOR_CONTENT = frozenset({400, 404, 409, 422})  # with a category: something in the batch is at fault
_THROTTLED, _LOCKED = 429, 423
_SECOND = 1.0
_DAILY_WAIT, _ROLLING_WAIT, _LOCKED_WAIT = 3_600.0, 10.0, 2.0  # seconds, where HubSpot names none
_POLICY_WAITS: Mapping[str, float] = {"DAILY": _DAILY_WAIT, "SECONDLY": _SECOND}


def failure_of(error: Mapping[str, Any], client: RemoteClient) -> CrmFailure:
    """Return what one error object says of a record."""
    reason, transient = _CATEGORIES.get(str(error.get("category")), ("rejected", False))
    return CrmFailure(reason, transient, client.show(_detail(error)), named(error, "propertyName"))


def _detail(error: Mapping[str, Any]) -> str:
    codes = {f"{e.get('code')} {' '.join(_texts(e, 'propertyName'))}".strip() for e in _objects(error.get("errors"))}
    return ", ".join(sorted(codes)) or str(error.get("message") or "")


def named(error: Mapping[str, Any], key: str) -> frozenset[str]:
    """Return the ids or trace ids that an error is about, from its ``context`` and from those of its parts."""
    parts = [error, *_objects(error.get("errors"))]
    return frozenset(text for part in parts for text in _texts(part, key))


def _texts(error: Mapping[str, Any], key: str) -> Iterator[str]:
    context = error.get("context")
    listed = context.get(key) if isinstance(context, dict) else None
    return (str(item) for item in (listed if isinstance(listed, list) else ()))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def error_objects(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the errors of a 207 body."""
    return _objects(body.get("errors"))


def refused(reply: Reply, client: RemoteClient) -> CrmError | BatchRefusedError:
    """Return what a status other than 200 and 207 stands for: the CRM as a whole, or something in this batch."""
    body = reply.body if isinstance(reply.body, dict) else {}
    if reply.status in _REFUSED_FOR_CONTENT and str(body.get("category")) in _CATEGORIES:
        unknown = [e for e in _objects(body.get("errors")) if e.get("code") in _NO_SUCH_PROPERTY]
        return BatchRefusedError(
            failure_of(body, client), frozenset(name for e in unknown for name in _texts(e, "propertyName"))
        )
    return _as_a_whole(reply, body, client)


def _as_a_whole(reply: Reply, body: Mapping[str, Any], client: RemoteClient) -> CrmError:
    plain = client.refusal(reply)
    policy = str(body.get("policyName")) if reply.status == _THROTTLED else ""
    daily = policy == "DAILY"
    wait = plain.retry_after_seconds
    if wait is None:
        usual = {_THROTTLED: _ROLLING_WAIT, _LOCKED: _LOCKED_WAIT}.get(reply.status)
        wait = _POLICY_WAITS.get(policy, usual)
    return CrmError(
        "daily_limit" if daily else plain.reason,
        plain.detail,
        transient=plain.transient,
        http_status=reply.status,
        retry_after_seconds=wait,
    )


def is_of_a_second(error: CrmError) -> bool:
    """Say whether a limit was hit that the next second lifts."""
    wait = error.retry_after_seconds
    return error.http_status == _THROTTLED and wait is not None and wait <= _SECOND
