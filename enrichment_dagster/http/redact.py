"""Text that may be shown: without keys, e-mail addresses, query strings and callback tokens, and short."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_MAX_DETAIL = 200
_EMAIL = re.compile(r"[^\s\"'<>@,;:=&?/]+(?:@|%40)[^\s\"'<>@,;&?/]+")
_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*")
_CALLBACK = re.compile(r"(/callbacks/[^\s/\"'<>]+/)[^\s/?\"'<>]+")  # a vendor may quote the URL that it was to call
_SHORTEST_SECRET = 4
MASK = "***"
_WORDS = ("errorCode", "error", "error_description", "error_message", "message", "errors")


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return the text without the given secrets, without e-mail addresses, queries of URLs and callback tokens."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    text = _CALLBACK.sub(rf"\1{MASK}", _EMAIL.sub(MASK, _QUERY.sub(rf"\1?{MASK}", text)))
    return " ".join(text.split())[:_MAX_DETAIL]


def vendor_message(body: Any) -> str:
    """Return what a vendor's error body says, over the shapes that vendors use; empty where it says nothing.

    Apollo ``{message}`` / ``{error}`` / ``{error_message}``, Clearbit and People Data Labs ``{error: {message}}``,
    HubSpot ``{message}``, Hunter ``{errors: [{details}]}``, Salesforce ``[{errorCode, message}]`` and, at its token
    endpoint, ``{error, error_description}``.
    """
    if isinstance(body, list):
        return vendor_message(body[0]) if body else ""
    if not isinstance(body, dict):
        return ""
    parts = [_part(body.get(key)) for key in _WORDS]
    return ": ".join(part for part in parts if part)


def _part(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = value[0].get("details")
    elif isinstance(value, dict):
        value = value.get("message")
    return value if isinstance(value, str) else ""
