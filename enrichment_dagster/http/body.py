"""Reading a reply's body: never more than the cap, however well it is compressed; decoded by orjson."""

from __future__ import annotations

import zlib
from typing import Any

import aiohttp
import orjson

from enrichment_dagster.http.failures import BodyTooLargeError, NotJsonError

ENCODINGS = "gzip, deflate"
"""What ``read_body`` can undo."""

_OK = range(200, 300)
_EITHER_HEADER = zlib.MAX_WBITS | 32  # gzip's or zlib's, whichever comes


async def read_body(response: aiohttp.ClientResponse, max_bytes: int, *, counts: bool = True) -> Any | None:
    """Return the decoded body; None where it is empty, or where an error reply has no JSON.

    ``counts`` False: a success is one whatever comes with it, so that its body may be missing, too, as an error's may.

    Raises:
        BodyTooLargeError: a success is larger than ``max_bytes``; the rest was not read.
        NotJsonError: a success is not JSON, or is not compressed as it says.
    """
    success = counts and response.status in _OK
    try:
        raw = await _read_capped(response, max_bytes)
    except BodyTooLargeError:
        if success:
            raise
        return None
    except zlib.error:
        if success:
            raise NotJsonError from None
        return None
    return _decode(raw, success=success)


async def _read_capped(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    declared = response.headers.get("content-length", "")
    known = declared.isdecimal()
    if known and int(declared) > max_bytes:
        raise BodyTooLargeError
    if response.headers.get("content-encoding", "identity") != "identity":
        return await _unpack_capped(response, max_bytes)
    if known:
        return await response.content.read()
    read = bytearray()
    async for chunk in response.content.iter_any():
        read += chunk
        if len(read) > max_bytes:
            raise BodyTooLargeError
    return bytes(read)


async def _unpack_capped(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    unpack, read = zlib.decompressobj(_EITHER_HEADER), bytearray()
    async for chunk in response.content.iter_any():
        read += unpack.decompress(chunk, max_bytes + 1 - len(read))
        if len(read) > max_bytes:
            raise BodyTooLargeError
    return bytes(read)


def _decode(raw: bytes, *, success: bool) -> Any | None:
    if not raw.strip():
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        if success:
            raise NotJsonError from None
        return None
