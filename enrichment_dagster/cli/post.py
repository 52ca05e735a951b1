"""One POST to our own gateway. Vendors are called through ``http/``; this needs neither pools nor retries."""

from __future__ import annotations

import http.client
import ipaddress
import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import click

from enrichment_dagster.cli.command import Failure
from enrichment_dagster.cli.delivery import Delivery

_TIMEOUT_SECONDS = 10.0
_MAX_ANSWER = 10_000_000
_SUCCESS = 2  # the first digit of its statuses


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway said."""

    status: int
    body: Mapping[str, Any]

    @property
    def refusal(self) -> str:
        """Return why nothing, or not everything, was taken; empty where all was."""
        error = self.body.get("error")
        if isinstance(error, dict):
            return f"{error.get('reason')}: {error.get('detail')}"
        if isinstance(error, str) and error:  # as the outputs of a custom code action have it
            return error
        if self.body.get("kept"):
            return f"{self.body.get('reason')}: the body can't be read, the gateway kept it"
        if self.body.get("rejected"):
            return f"{self.body['rejected']} events of the body can't be read, the gateway kept them"
        return "" if self.status // 100 == _SUCCESS else f"HTTP {self.status}"

    @property
    def event_ids(self) -> list[str]:
        """Return the ids of the events that the body held."""
        return [str(name) for name in self.body.get("event_ids", ())]


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Follow none: the secret must not go elsewhere."""


def post(base_url: str, delivery: Delivery) -> Answer:
    """Post it.

    Raises:
        Failure: nobody answers there.
    """
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked
        f"{checked_url(base_url)}{delivery.path}", data=delivery.body, headers=dict(delivery.headers), method="POST"
    )
    direct = [urllib.request.ProxyHandler({})] if _is_local(base_url) else []
    opener = urllib.request.build_opener(_NoRedirect, *direct)
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as reply:
            return Answer(reply.status, _read(reply.read(_MAX_ANSWER)))
    except HTTPError as error:
        with error:
            return Answer(error.code, _read(error.read(_MAX_ANSWER)))
    except (URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise Failure(
            "unreachable",
            f"no gateway answers at {base_url} ({reason}): start it with `enrichment up`, or name it with --url",
        ) from error


def checked_url(url: str) -> str:
    """Return the URL without a trailing slash.

    Raises:
        click.UsageError: not an http(s) URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise click.UsageError("the gateway's URL looks like http://127.0.0.1:8080, without user or password")
    return url.rstrip("/")


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}
