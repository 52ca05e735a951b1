"""CloudEvents in HTTP's binary mode, and the data of an event in every mode.

Source: github.com/cloudevents/spec, "HTTP Protocol Binding" (section 3.1: headers are percent-encoded) and "JSON Event
Format" (section 3.1.1: ``data`` is a JSON value, ``data_base64`` bytes).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.elements import Element
from enrichment_dagster.intake.json_body import parse_json

_CONTEXT = ("specversion", "id", "source", "type", "time", "subject")


class MediaTypeError(PayloadError):
    """The body's type is none that is taken here."""

    status = 415


def binary_event(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return the event whose context stands in headers and whose data is the body."""
    context = {name: unquote(value) for name in _CONTEXT if (value := headers.get(f"ce-{name}")) is not None}
    return {**context, "data": parse_json(body)} if body else context


def data_of(element: Element) -> Element:
    """Return the data, a JSON object.

    Raises:
        PayloadError: ``bad_data``, or why its JSON can't be read.
    """
    data = element.get("data")
    if data is None and isinstance(encoded := element.get("data_base64"), str):
        try:
            data = parse_json(base64.b64decode(encoded.encode("ascii", "replace"), validate=True))
        except binascii.Error as error:
            raise PayloadError("bad_data", "data_base64 is not base64") from error
    if data is not None and not isinstance(data, dict):
        raise PayloadError("bad_data", "data is not a JSON object")
    return data or {}
