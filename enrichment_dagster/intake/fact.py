"""What a sender says happened, and the event that is made of it: the same way for every sender."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.keys import dedup_key, event_id
from enrichment_dagster.domain.triggers import UNSUPPORTED, Triggers


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact. ``identity`` is what two deliveries of it share, and no other fact of the sender has."""

    event_type: str | None  # None: of no kind that triggers anything
    subject: RecordRef
    occurred_at: datetime
    identity: tuple[str | int, ...]
    attributes: Mapping[str, Any]  # what is blank or None is left out
    number: str = ""  # the sender's own id of the fact
    skip_reason: str = ""  # where the sender itself says why there is nothing to do


def event_of(source: str, fact: Fact, triggers: Triggers, now: datetime) -> Event:
    """Return the event of a fact, with the verdict of the rules.

    Nothing occurs after its receipt: a sender's clock that is ahead would make every later event of the record look
    like an old one, and hide how long this one takes.
    """
    key = dedup_key(source, *fact.identity)
    attributes = {name: value for name, value in fact.attributes.items() if value not in (None, "")}
    event_type, skip_reason = triggers.judge(fact.event_type, attributes)
    if event_type == UNSUPPORTED and fact.event_type is not None:
        attributes["event_type"] = fact.event_type
    return Event(
        event_id=event_id(key),
        dedup_key=key,
        event_type=event_type,
        source=source,
        subject=fact.subject,
        occurred_at=min(fact.occurred_at, now),
        received_at=now,
        sender_event_id=fact.number,
        skip_reason=fact.skip_reason or skip_reason,
        attributes=attributes,
    )
