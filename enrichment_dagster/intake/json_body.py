"""Reading a JSON body strictly: whatever is ambiguous or hostile is refused with a stable reason, nothing crashes.

The standard library's parser and not orjson: orjson turns integers beyond 64 bits into floats and keeps the last of two
equal keys without a word, and a record's id must stay exact.
"""

from __future__ import annotations

import json
import math
from typing import Any, Never

from enrichment_dagster.errors import PayloadError

MAX_DEPTH = 32  # vendors' bodies have two levels
_MAX_DIGITS = 100  # longer numbers stay text: turning digits into an integer takes quadratic time
_BYTE_ORDER_MARK = "\ufeff"


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        PayloadError: ``empty_body``, ``invalid_utf8``, ``byte_order_mark``, ``not_json``, ``duplicate_key``,
            ``not_a_number`` (NaN and the infinities) or ``too_deep``.
    """
    text = _text(body)
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise PayloadError("not_json", f"not JSON at character {error.pos}: {error.msg}") from error
    except RecursionError as error:
        raise _too_deep() from error
    _check_depth(value)
    return value


def _decode(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a number that Python does not turn into an integer, for the time that it would take
        return _PATIENT_DECODER.decode(text)


def _text(body: bytes) -> str:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PayloadError("invalid_utf8", f"not UTF-8 at byte {error.start}") from error
    if not text.strip():
        raise PayloadError("empty_body", "the body is empty")
    if text.startswith(_BYTE_ORDER_MARK):
        raise PayloadError("byte_order_mark", "JSON must not begin with a byte order mark")
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise PayloadError("duplicate_key", "an object has the same key twice")
    return result


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _constant(_name: str) -> Never:
    raise PayloadError("not_a_number", "NaN and Infinity are not JSON")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        children = (c.values() if isinstance(c, dict) else c for c in level if isinstance(c, dict | list))
        level = [child for group in children for child in group if isinstance(child, dict | list)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> PayloadError:
    return PayloadError("too_deep", f"nested deeper than {MAX_DEPTH} levels")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)
_PATIENT_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
