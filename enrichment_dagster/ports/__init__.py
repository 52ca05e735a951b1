"""What the engine needs of the world: providers, CRMs and stores, as protocols.

Adapters implement these; nothing here does I/O. Costs are millionths of a US dollar (``_micros``), times are UTC.
"""

from __future__ import annotations

from enrichment_dagster.ports.calls import (
    REFUSALS,
    AttemptKey,
    AttemptLedger,
    AttemptRequest,
    Awaited,
    Cached,
    InFlight,
    Opened,
    ProviderStanding,
    Refused,
    Settlement,
    Standings,
)
from enrichment_dagster.ports.crm import Crm, CrmFailure, CrmRecord, RecordMapper, RecordUpdate, Search, WritePlan
from enrichment_dagster.ports.dispatch import REFUSED, TICK, BatchHandOver, DispatchPort, Glance
from enrichment_dagster.ports.intake import Journal, KeptBody, Visitor, VisitorStore
from enrichment_dagster.ports.late import PendingStore, WaitingAnswer
from enrichment_dagster.ports.providers import Answer, CachePolicy, Charge, Lookup, Pending, Query, RawValue
from enrichment_dagster.ports.requests import ApiRequest, ApiRequests, OwedAnswer, OwedAnswers
from enrichment_dagster.ports.routing import OwnWrites, RoutingConclusion, RoutingStore
from enrichment_dagster.ports.work import (
    ROUTING_SUFFIX,
    Deferral,
    DeliveryRetry,
    Employer,
    Enrichment,
    FollowUp,
    Lease,
    Memory,
    OutboxEntry,
    Recollection,
    Scope,
    Step,
    WorkItem,
    WorkKind,
    WorkStore,
    WriteRecord,
)

__all__ = [
    "REFUSALS",
    "REFUSED",
    "ROUTING_SUFFIX",
    "TICK",
    "Answer",
    "ApiRequest",
    "ApiRequests",
    "AttemptKey",
    "AttemptLedger",
    "AttemptRequest",
    "Awaited",
    "BatchHandOver",
    "CachePolicy",
    "Cached",
    "Charge",
    "Crm",
    "CrmFailure",
    "CrmRecord",
    "Deferral",
    "DeliveryRetry",
    "DispatchPort",
    "Employer",
    "Enrichment",
    "FollowUp",
    "Glance",
    "InFlight",
    "Journal",
    "KeptBody",
    "Lease",
    "Lookup",
    "Memory",
    "Opened",
    "OutboxEntry",
    "OwedAnswer",
    "OwedAnswers",
    "OwnWrites",
    "Pending",
    "PendingStore",
    "ProviderStanding",
    "Query",
    "RawValue",
    "Recollection",
    "RecordMapper",
    "RecordUpdate",
    "Refused",
    "RoutingConclusion",
    "RoutingStore",
    "Scope",
    "Search",
    "Settlement",
    "Standings",
    "Step",
    "Visitor",
    "VisitorStore",
    "WaitingAnswer",
    "WorkItem",
    "WorkKind",
    "WorkStore",
    "WritePlan",
    "WriteRecord",
]
