"""How the providers do: one row each, changed inside the ledger's transactions, shared by all processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, select

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.protection import (
    Admitted,
    CallReport,
    Denied,
    ProviderPolicy,
    ProviderState,
    Standing,
    admit,
    observe,
    standing,
)
from enrichment_dagster.ports import ProviderStanding
from enrichment_dagster.store.database import Database, to_ms
from enrichment_dagster.store.rows import upsert
from enrichment_dagster.store.tables import provider_states

if TYPE_CHECKING:
    from enrichment_dagster.store.ledger import Policies

_OLDEST_SECONDS = 1.0


class ProviderStates:
    """The states of some providers within one transaction: read once, changed in memory, stored once."""

    def __init__(self, connection: Connection, providers: Iterable[str], now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._seconds = now.timestamp()
        self._states = _read(connection, sorted(providers))
        self._changed: set[str] = set()

    def admit(
        self, provider: str, policy: ProviderPolicy, *, in_flight: float, send_before: float, weight: float
    ) -> Admitted | Denied:
        """Decide on one call of a provider."""
        state = self._states.get(provider, _FRESH)
        after, decision = admit(
            state, policy, now=self._seconds, in_flight=in_flight, send_before=send_before, weight=weight
        )
        self._set(provider, state, after)
        return decision

    def observe(self, provider: str, policy: ProviderPolicy, report: CallReport) -> None:
        """Take in how one call ended."""
        state = self._states.get(provider, _FRESH)
        self._set(provider, state, observe(state, policy, report, now=self._seconds))

    def _set(self, provider: str, before: ProviderState, after: ProviderState) -> None:
        if after is not before:
            self._states[provider] = after
            self._changed.add(provider)

    def store(self) -> None:
        """Write what has changed."""
        if not self._changed:
            return
        statement = upsert(self._connection, provider_states, ("provider",), ("state", "changed_at_ms"))
        rows = [
            {"provider": name, "state": self._states[name].to_json(), "changed_at_ms": to_ms(self._now)}
            for name in sorted(self._changed)
        ]
        self._connection.execute(statement, rows)


class SqlStandings:
    """``ports.Standings`` on the operational store: read at most once a second.

    A demoted provider that nobody has tried for a while is shown as itself once: whoever asks then makes the probe that
    may bring it back.
    """

    def __init__(self, ops: Database, clock: Clock, policies: Policies) -> None:
        self._ops = ops
        self._clock = clock
        self._policies = policies
        self._read_at = float("-inf")
        self._standings: Mapping[str, ProviderStanding] = {}
        self._probing: Mapping[str, ProviderStanding] | None = None

    async def current(self) -> Mapping[str, ProviderStanding]:
        """Return the standing of each provider that was ever called."""
        now = self._clock.monotonic()
        if now - self._read_at >= _OLDEST_SECONDS:
            self._read_at = now
            self._refresh()
        if self._probing is not None:
            probing, self._probing = self._probing, None
            return probing
        return self._standings

    def _refresh(self) -> None:
        seconds = self._clock.now().timestamp()
        with self._ops.read() as connection:
            states = _read(connection, None)
        found = {name: standing(state, self._policies.of(name), seconds) for name, state in states.items()}
        self._standings = {name: _shown(item, demoted=item.demoted) for name, item in found.items()}
        self._probing = None
        if any(item.probe_due for item in found.values()):
            self._probing = {
                name: _shown(item, demoted=item.demoted and not item.probe_due) for name, item in found.items()
            }


_FRESH = ProviderState()
_ALL = select(provider_states.c.provider, provider_states.c.state)
_SOME = _ALL.where(provider_states.c.provider.in_(bindparam("b_providers", expanding=True)))


def _read(connection: Connection, providers: list[str] | None) -> dict[str, ProviderState]:
    rows = connection.execute(_ALL) if providers is None else connection.execute(_SOME, {"b_providers": providers})
    return {name: ProviderState.from_json(state) for name, state in rows}


def _shown(found: Standing, *, demoted: bool) -> ProviderStanding:
    return ProviderStanding(
        open=found.breaker == "open",
        demoted=demoted,
        p50_ms={purpose: p50 for purpose, (p50, _) in found.latency_ms.items()},
        p95_ms={purpose: p95 for purpose, (_, p95) in found.latency_ms.items()},
    )
