"""Reading a reply's body: never more than the cap, decoded by orjson."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson

from enrichment_dagster.http.failures import BodyTooLargeError, NotJsonError

_OK = range(200, 300)


async def read_body(response: httpx.Response, max_bytes: int, *, counts: bool = True) -> Any | None:
    """Return the decoded body; None where it is empty, or where an error reply has no JSON.

    ``counts`` False: a success is one whatever comes with it, so that its body may be missing, too, as an error's may.

    Raises:
        BodyTooLargeError: a success is larger than ``max_bytes``; the rest was not read.
        NotJsonError: a success is not JSON.
    """
    success = counts and response.status_code in _OK
    try:
        raw = await _read_capped(response, max_bytes)
    except BodyTooLargeError:
        if success:
            raise
        return None
    return _decode(raw, success=success)


async def _read_capped(response: httpx.Response, max_bytes: int) -> bytes:
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise BodyTooLargeError
    read = bytearray()
    async for chunk in _chunks(response):
        read += chunk
        if len(read) > max_bytes:
            raise BodyTooLargeError
    return bytes(read)


def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """Return the body piece by piece; where nothing has to be decoded, straight from the connection."""
    if "content-encoding" in response.headers or not isinstance(response.stream, httpx.AsyncByteStream):
        return response.aiter_bytes()
    return aiter(response.stream)


def _decode(raw: bytes, *, success: bool) -> Any | None:
    if not raw.strip():
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        if success:
            raise NotJsonError from None
        return None
