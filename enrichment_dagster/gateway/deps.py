"""What the gateway is built from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.late import LateAnswers
from enrichment_dagster.engine.routing import RoutingLane
from enrichment_dagster.gateway.api.deps import EnrichDeps
from enrichment_dagster.gateway.refusals import RefusalCounts
from enrichment_dagster.gateway.visitors import KnownVisitors
from enrichment_dagster.intake.sender import Sender
from enrichment_dagster.ports import Journal


@dataclass(frozen=True, slots=True)
class Health:
    """How one thing that the gateway needs is doing. ``detail`` is read by operators and carries no personal data."""

    ok: bool
    detail: str = ""


HealthCheck = Callable[[], Awaitable[Health]]
Background = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how long the gateway takes."""

    max_body_bytes: int
    body_seconds: float = 10.0  # for a client to send its body
    commit_seconds: float = 4.5  # HubSpot gives up after 5
    check_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class GatewayDeps:
    """Senders, the journal and what runs beside them; ``background`` starts and ends with the server."""

    senders: Sequence[Sender]
    journal: Journal
    clock: Clock
    limits: Limits
    checks: Mapping[str, HealthCheck] = field(default_factory=dict)
    background: Sequence[Background] = ()
    late: LateAnswers | None = None  # None: no provider calls back
    routing: RoutingLane | None = None  # None: every event takes the standard lane
    enrich: EnrichDeps | None = None  # None: POST /enrich is not served
    refused: RefusalCounts = field(default_factory=RefusalCounts)
    visitors: KnownVisitors | None = None  # None: nobody is remembered, a visit is of whom it names
