"""What a HubSpot workflow is told of an event: the outputs by which it branches, of webhooks as of custom code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from enrichment_dagster.domain.eligibility import SKIPPED_DOMAIN, domain_is_listed
from enrichment_dagster.domain.event import Event
from enrichment_dagster.domain.normalise import email_domain, personal_reason
from enrichment_dagster.intake.sender import Parsed


class Decision:
    """Adds ``should_enrich``, ``reason``, ``enrichment_triggered`` and ``error`` to the answers of a sender."""

    __slots__ = ()

    skips_personal: frozenset[str]
    """Event types whose plan buys nothing for addresses of mail hosts."""
    skips_domains: Mapping[str, Sequence[str]]
    """Domains that are left alone, with all below them, by event type."""

    def answer(self, parsed: Parsed, fresh: Sequence[bool]) -> Mapping[str, Any]:
        """Return the outputs; of a batch, which HubSpot does not send here, those of its first event."""
        if parsed.rejects and not parsed.events:
            return self.refusal(parsed.rejects[0].reason, parsed.rejects[0].detail)
        reason = self._why_not(parsed.events[0]) if parsed.events else "no_event"
        return {"should_enrich": not reason, "reason": reason, "enrichment_triggered": not reason, "error": ""}

    def refusal(self, reason: str, detail: str) -> Mapping[str, Any]:
        """Return the outputs where nothing was taken."""
        return {"should_enrich": True, "reason": "", "enrichment_triggered": False, "error": f"{reason}: {detail}"}

    def _why_not(self, event: Event) -> str:
        email = event.attributes.get("email") or ""
        if event.skip_reason or not email:
            return event.skip_reason
        if event.event_type in self.skips_personal and (reason := personal_reason(email)):
            return reason
        listed = self.skips_domains.get(event.event_type, ())
        return SKIPPED_DOMAIN if domain_is_listed([email_domain(email)], listed) else ""
