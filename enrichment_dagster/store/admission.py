"""May this call be sent? Kill switch, budgets, limits and breaker, decided inside the transaction that opens it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, case, func, select, text

from enrichment_dagster.engine.protection import Denied
from enrichment_dagster.ports import SPENDING_STOPPED, AttemptRequest, Refused
from enrichment_dagster.store.prepared import Query
from enrichment_dagster.store.provider_states import ProviderStates, StateMemory
from enrichment_dagster.store.spending import TOTAL, day_of, held, hold, is_stopped, stopped
from enrichment_dagster.store.tables import IN_FLIGHT, attempts

if TYPE_CHECKING:
    from enrichment_dagster.store.ledger import Policies

_FAR = 86_400.0


class Admission:
    """The decisions of one transaction: each request that is let through counts for the next ones at once."""

    def __init__(
        self,
        connection: Connection,
        policies: Policies,
        memory: StateMemory,
        requests: Sequence[AttemptRequest],
        now: datetime,
    ) -> None:
        providers = {request.key.provider for request in requests}
        self._connection = connection
        self._policies = policies
        self._now = now
        self._day = day_of(now)
        self._stops = stopped(connection)
        self._held = held(connection, providers, self._day)
        self._spent = _spent_by_event(connection, requests)
        self._in_flight = _in_flight(connection, policies, providers)
        self._states = ProviderStates(connection, memory, providers, now)
        self._reserved: dict[str, int] = {}

    def decide(self, request: AttemptRequest) -> datetime | Refused:
        """Return when the call may be sent, or why it may not."""
        provider = request.key.provider
        if reason := self._money(request):
            return Refused(reason)
        before = request.send_before.timestamp() if request.send_before else self._now.timestamp() + _FAR
        decision = self._states.admit(
            provider,
            self._policies.of(provider),
            in_flight=self._in_flight.get(provider, 0) * request.weight,
            send_before=before,
            weight=request.weight,
        )
        if isinstance(decision, Denied):
            retry_at = None if decision.retry_at is None else datetime.fromtimestamp(decision.retry_at, tz=UTC)
            return Refused(decision.reason, retry_at)
        self._count(request)
        return datetime.fromtimestamp(decision.send_at, tz=UTC)

    def store(self) -> None:
        """Write what the admitted calls hold."""
        self._states.store()
        if self._reserved:
            hold(self._connection, self._reserved, self._day)

    def _money(self, request: AttemptRequest) -> str:
        """Return why the money is not there, or an empty text."""
        provider, price = request.key.provider, request.reserve_micros
        if is_stopped(provider, self._stops):
            return SPENDING_STOPPED
        limits = (
            ("budget_event", request.event_budget_micros, self._spent.get(request.event_id, 0)),
            ("budget_provider", self._policies.budgets.get(provider), self._held.get(provider, 0)),
            ("budget_day", self._policies.budgets.get(TOTAL), self._held.get(TOTAL, 0)),
        )
        return next((name for name, limit, used in limits if limit is not None and used + price > limit), "")

    def _count(self, request: AttemptRequest) -> None:
        provider, price = request.key.provider, request.reserve_micros
        self._in_flight[provider] = self._in_flight.get(provider, 0) + 1
        self._spent[request.event_id] = self._spent.get(request.event_id, 0) + price
        if price:
            for name in (provider, TOTAL):
                self._held[name] = self._held.get(name, 0) + price
            self._reserved[provider] = self._reserved.get(provider, 0) + price


_OPEN_OR_PAID = case(
    (attempts.c.state.in_(("sent", "pending")), attempts.c.reserved_micros), else_=attempts.c.cost_micros
)
_SPENT_BY_EVENT = Query(
    select(attempts.c.event_id, func.sum(_OPEN_OR_PAID))
    .where(attempts.c.event_id.in_(bindparam("b_events", expanding=True)))
    .group_by(attempts.c.event_id)
)
_IN_FLIGHT = Query(
    select(attempts.c.provider, func.count())
    .where(
        attempts.c.provider.in_(bindparam("b_providers", expanding=True)), text(IN_FLIGHT), attempts.c.state == "sent"
    )
    .group_by(attempts.c.provider)
)


def _spent_by_event(connection: Connection, requests: Sequence[AttemptRequest]) -> dict[str, int]:
    """Return what the events with a budget cost so far; calls whose end is open count with what they reserve."""
    events = sorted({request.event_id for request in requests if request.event_budget_micros is not None})
    if not events:
        return {}
    return {event_id: int(micros) for event_id, micros in _SPENT_BY_EVENT.rows(connection, b_events=events)}


def _in_flight(connection: Connection, policies: Policies, providers: Iterable[str]) -> dict[str, int]:
    """Return how many calls of each provider with a limit have no end yet."""
    limited = sorted(name for name in providers if policies.of(name).concurrency is not None)
    return dict(_IN_FLIGHT.rows(connection, b_providers=limited)) if limited else {}
