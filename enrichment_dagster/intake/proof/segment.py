"""What Segment signs: the JSON text of the event; of a batch only that of the FIRST event.

Source: segment.com/docs, "Webhooks (Actions) Destination", and the destination's code, segmentio/action-destinations:
hex HMAC-SHA1 in ``X-Signature``. So whoever sees a signed batch can put others behind its first event: Segment offers
no better.
"""

from __future__ import annotations

import json

from enrichment_dagster.intake.proof.body_hmac import BodyHmac

_BATCH = "["
_SCANNER = json.JSONDecoder(parse_int=str, parse_float=str)  # numbers are only passed over here


def segment_signature(secrets: tuple[bytes, ...]) -> BodyHmac:
    """Return the check of an event, or of the first one of a batch."""
    return BodyHmac(secrets, "X-Signature", "sha1", signed=first_event)


def first_event(body: bytes) -> bytes:
    """Return the text of a batch's first event as it stands there; the body itself where it is no batch."""
    try:
        text = body.decode()
        start = text.index(_BATCH) + 1 if text.startswith(_BATCH) else 0
        return text[start : _SCANNER.raw_decode(text, start)[1]].encode() if start else body
    except (ValueError, RecursionError):
        return body  # it is refused where it is read, if the signature is right even so
