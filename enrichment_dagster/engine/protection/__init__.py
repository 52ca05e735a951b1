"""What protects a provider from us and us from a provider: rate limit, breaker, switch to others, learned latency.

Pure: everything follows from (state, policy, now), where ``now`` is UTC epoch seconds. The state of a provider is one
JSON document that all processes share. A process reads it, asks ``admit`` before a call and tells ``observe`` after it,
and writes it back, all inside one write transaction.
"""

from enrichment_dagster.domain.quota import Quota
from enrichment_dagster.engine.protection.decide import Admitted, Denied, admit, observe
from enrichment_dagster.engine.protection.policy import BreakerPolicy, ProviderPolicy, SwitchPolicy
from enrichment_dagster.engine.protection.report import CallReport
from enrichment_dagster.engine.protection.standing import Standing, standing
from enrichment_dagster.engine.protection.state import ProviderState
from enrichment_dagster.engine.protection.verdict import Verdict, verdict_of

__all__ = [
    "Admitted",
    "BreakerPolicy",
    "CallReport",
    "Denied",
    "ProviderPolicy",
    "ProviderState",
    "Quota",
    "Standing",
    "SwitchPolicy",
    "Verdict",
    "admit",
    "observe",
    "standing",
    "verdict_of",
]
