"""Reading a request's body with a limit on size and time, as it arrives."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from enrichment_dagster.errors import IntakeError
from enrichment_dagster.gateway.deps import Limits


class BodyTooLarge(IntakeError):  # noqa: N818 - named as the HTTP status is
    """The body is larger than allowed; the rest of it is not read."""

    status = 413


class BodyTooSlow(IntakeError):  # noqa: N818
    """The body did not arrive in time."""

    status = 408


class BodyCutOff(IntakeError):  # noqa: N818
    """The client left before its body was complete; nobody hears the answer."""


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLarge: by its Content-Length or by what has arrived.
        BodyTooSlow: it is not complete after ``body_seconds``.
        BodyCutOff: the connection ended in the middle.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.max_body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _collect(request, limits)
    except TimeoutError as error:
        raise BodyTooSlow("body_too_slow", f"not complete after {limits.body_seconds:.0f} s") from error
    except ClientDisconnect as error:
        raise BodyCutOff("body_cut_off", "the connection ended before the body did") from error


async def _collect(request: Request, limits: Limits) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.max_body_bytes:
            raise _too_large(limits)
    return bytes(body)


def _too_large(limits: Limits) -> BodyTooLarge:
    return BodyTooLarge("body_too_large", f"at most {limits.max_body_bytes} bytes are taken")
