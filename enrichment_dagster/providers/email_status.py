"""Verdicts on e-mail addresses in the common enum, with how sure they are."""

from __future__ import annotations

from enrichment_dagster.ports import RawValue

# An estimate of ours: SMTP said yes or no, or it said nothing that decides.
_CONFIDENCE = {"valid": 0.98, "invalid": 0.98, "disposable": 0.95, "role": 0.9, "risky": 0.8, "accept_all": 0.5}
_UNDECIDED = 0.2


def verdict(status: str) -> RawValue:
    """Return a status: valid, invalid, accept_all, disposable, role, risky, unknown."""
    return RawValue("email_status", status, _CONFIDENCE.get(status, _UNDECIDED))
