"""What a call costs by the provider's terms: per call, or only when it found something."""

from __future__ import annotations

from enrichment_dagster.errors import ProviderError
from enrichment_dagster.ports import Answer, Charge, Lookup


def cost_of(lookup: Lookup, answer: Answer) -> int:
    """Return what an answer costs, in millionths of a US dollar."""
    charged = answer.is_hit or lookup.charge is Charge.ON_CALL
    return lookup.price_micros * answer.units if charged else 0


def cost_of_failure(lookup: Lookup, error: ProviderError) -> int:
    """Return what a failed call may have cost: an on-call price is held when the call may have been served."""
    served = error.maybe_sent and error.http_status is None
    return lookup.price_micros if served and lookup.charge is Charge.ON_CALL else 0
