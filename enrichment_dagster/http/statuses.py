"""What an HTTP status means when a vendor gives no better word: one table for all systems."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_REDIRECT, _REFUSAL, _FAILURE = 300, 400, 500


class Rule(NamedTuple):
    """A stable reason code, and whether a later try may succeed."""

    reason: str
    transient: bool


_UNAVAILABLE = Rule("unavailable", transient=True)

STATUS_RULES: Mapping[int, Rule] = MappingProxyType(
    {
        400: Rule("bad_request", transient=False),
        401: Rule("unauthorized", transient=False),
        402: Rule("out_of_credits", transient=False),
        403: Rule("forbidden", transient=False),
        404: Rule("not_found", transient=False),
        408: Rule("timeout", transient=True),
        409: Rule("conflict", transient=False),
        413: Rule("request_too_large", transient=False),
        414: Rule("request_too_large", transient=False),
        422: Rule("invalid_request", transient=False),
        423: Rule("locked", transient=True),
        425: Rule("too_early", transient=True),
        429: Rule("throttled", transient=True),
        451: Rule("restricted", transient=False),
        477: Rule("migrating", transient=True),  # HubSpot: the account moves between data centres
        500: Rule("server_error", transient=True),
        501: Rule("not_implemented", transient=False),
        502: _UNAVAILABLE,
        503: _UNAVAILABLE,
        504: _UNAVAILABLE,
        521: _UNAVAILABLE,  # 521, 523, 524: Cloudflare could not reach the vendor, or not in time
        523: _UNAVAILABLE,
        524: _UNAVAILABLE,
    }
)


def rule_for(status: int, overrides: Mapping[int, Rule]) -> Rule:
    """Return what a status means, the vendor's own meaning first."""
    known = overrides.get(status) or STATUS_RULES.get(status)
    if known:
        return known
    if _REDIRECT <= status < _REFUSAL:
        return Rule("redirected", transient=False)  # never followed: a redirect would carry the key elsewhere
    return Rule("server_error", transient=True) if status >= _FAILURE else Rule("rejected", transient=False)
