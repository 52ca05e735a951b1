"""How the providers do: one row each, changed inside the ledger's transactions, shared by all processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from enrichment_dagster.clock import Clock
from enrichment_dagster.engine.protection import (
    Admitted,
    CallReport,
    Denied,
    ProviderPolicy,
    ProviderState,
    admit,
    observe,
    standing,
)
from enrichment_dagster.ports import ProviderStanding
from enrichment_dagster.store.database import Database, to_ms
from enrichment_dagster.store.rows import dialect_insert
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
        make = dialect_insert(self._connection, provider_states)
        names = ("state", "changed_at_ms")
        statement = make.on_conflict_do_update(
            index_elements=["provider"], set_={name: make.excluded[name] for name in names}
        )
        rows = [
            {"provider": name, "state": self._states[name].to_json(), "changed_at_ms": to_ms(self._now)}
            for name in sorted(self._changed)
        ]
        self._connection.execute(statement, rows)


class SqlStandings:
    """``ports.Standings`` on the operational store: read at most once a second.

    A demoted provider is shown as itself again once in a while, for one event: that is the probe that may bring it
    back.
    """

    def __init__(self, ops: Database, clock: Clock, policies: Policies) -> None:
        self._ops = ops
        self._clock = clock
        self._policies = policies
        self._read_at = float("-inf")
        self._standings: Mapping[str, ProviderStanding] = {}
        self._probed: dict[str, float] = {}

    async def current(self) -> Mapping[str, ProviderStanding]:
        """Return the standing of each provider that was ever called."""
        now = self._clock.monotonic()
        if now - self._read_at >= _OLDEST_SECONDS:
            self._standings = self.read()
            self._read_at = now
        probed = [name for name, found in self._standings.items() if found.demoted and self._is_probe(name, now)]
        if not probed:
            return self._standings
        return {**self._standings, **{name: _as_itself(self._standings[name]) for name in probed}}

    def read(self) -> dict[str, ProviderStanding]:
        """Return the standings as they are in the store."""
        seconds = self._clock.now().timestamp()
        with self._ops.read() as connection:
            states = _read(connection, None)
        return {name: _standing(state, self._policies.of(name), seconds) for name, state in states.items()}

    def _is_probe(self, provider: str, now: float) -> bool:
        every = self._policies.of(provider).switch.probe_every_seconds
        # The first sight of a demotion starts the wait: what has just failed is not tried at once.
        if now - self._probed.setdefault(provider, now) < every:
            return False
        self._probed[provider] = now
        return True


_FRESH = ProviderState()


def _read(connection: Connection, providers: list[str] | None) -> dict[str, ProviderState]:
    statement = select(provider_states.c.provider, provider_states.c.state)
    if providers is not None:
        statement = statement.where(provider_states.c.provider.in_(providers))
    return {name: ProviderState.from_json(state) for name, state in connection.execute(statement)}


def _standing(state: ProviderState, policy: ProviderPolicy, now: float) -> ProviderStanding:
    found = standing(state, policy, now)
    return ProviderStanding(
        open=found.breaker == "open",
        demoted=found.demoted,
        p50_ms={purpose: p50 for purpose, (p50, _) in found.latency_ms.items()},
        p95_ms={purpose: p95 for purpose, (_, p95) in found.latency_ms.items()},
    )


def _as_itself(found: ProviderStanding) -> ProviderStanding:
    return ProviderStanding(found.open, False, found.p50_ms, found.p95_ms)
