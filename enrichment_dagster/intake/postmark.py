"""Postmark's bounce webhook: one object per bounce, guarded by user and password in the URL.

Source: postmarkapp.com/developer, "Bounce webhook" and "Bounce types". ``ID`` has up to 64 bits. Postmark signs nothing
and repeats for hours whatever is not answered 200, except after a 403.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Self

from enrichment_dagster.domain.config import SecretSenderConfig
from enrichment_dagster.domain.triggers import DATA_QUALITY
from enrichment_dagster.errors import PayloadError
from enrichment_dagster.intake.bad_address import bad_email
from enrichment_dagster.intake.door import Door
from enrichment_dagster.intake.elements import Element, child, exact_id, text
from enrichment_dagster.intake.fact import Fact
from enrichment_dagster.intake.json_sender import JsonSender
from enrichment_dagster.intake.moments import iso_moment, to_milliseconds
from enrichment_dagster.intake.proof.basic_auth import BasicAuth
from enrichment_dagster.intake.sender import Manners

_BOUNCE = "Bounce"
_PROBLEMS: Mapping[str, str] = MappingProxyType(
    {
        "HardBounce": "hard_bounce",
        "BadEmailAddress": "hard_bounce",
        "Transient": "soft_bounce",
        "SoftBounce": "soft_bounce",
        "DnsError": "soft_bounce",
        "Blocked": "blocked",
        "SpamNotification": "blocked",
        "DMARCPolicy": "blocked",
    }
)
_MOMENTS = ("BouncedAt", "DeliveredAt", "ReceivedAt", "ChangedAt")
_MAX_EMAIL = 320


@dataclass(frozen=True, slots=True)
class Postmark(JsonSender):
    """The sender "postmark"."""

    name: ClassVar[str] = "postmark"
    path: ClassVar[str] = "/webhooks/postmark"
    manners: ClassVar[Manners] = Manners(unreadable=200)

    @classmethod
    def build(cls, config: SecretSenderConfig, door: Door) -> Self:
        """Return the sender of this configuration."""
        return cls(BasicAuth(door.secrets), door.triggers)

    def _fact(self, element: Element, now: datetime) -> Fact:
        record_type, kind = text(element, "RecordType"), text(element, "Type")
        if not record_type:
            raise PayloadError("missing_type", "RecordType is missing")
        occurred_at = iso_moment(element, next((name for name in _MOMENTS if text(element, name)), _MOMENTS[0]))
        problem = _PROBLEMS.get(kind, "") if record_type == _BOUNCE else ""
        address = text(element, "Email", _MAX_EMAIL) or text(element, "Recipient", _MAX_EMAIL)
        subject, said = bad_email(address, problem, text(element, "Description"), child(element, "Metadata"))
        number, message = exact_id(element, "ID") or "", text(element, "MessageID")
        identity = (record_type, kind, number, message, said["email"], to_milliseconds(occurred_at))
        attributes = {"RecordType": record_type, "Type": kind, "MessageID": message, **said}
        return Fact(DATA_QUALITY if problem else None, subject, occurred_at, identity, attributes, number or message)
