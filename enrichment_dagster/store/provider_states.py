"""How the providers do: one row each, changed inside the ledger's transactions, shared by all processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Text, bindparam, cast, select

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
from enrichment_dagster.store.database import Database, JsonText, from_json, to_json, to_ms
from enrichment_dagster.store.prepared import Query, replacement
from enrichment_dagster.store.tables import provider_states

if TYPE_CHECKING:
    from enrichment_dagster.store.ledger import Policies

_OLDEST_SECONDS = 1.0


class StateMemory:
    """The states that a process has read or written last, by the text that is stored of them.

    As long as nobody else has written, that text is still there, and nothing has to be read out of it.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ProviderState]] = {}

    def state(self, provider: str, text: str) -> ProviderState:
        """Return the state that a stored text means."""
        known = self._known.get(provider)
        if known is not None and known[0] == text:
            return known[1]
        state = ProviderState.from_json(from_json(text))
        self._known[provider] = (text, state)
        return state

    def text(self, provider: str, state: ProviderState) -> JsonText:
        """Return what is stored of a state."""
        text = JsonText(to_json(state.to_json()))
        self._known[provider] = (text, state)
        return text


class ProviderStates:
    """The states of some providers within one transaction: read once, changed in memory, stored once."""

    def __init__(self, connection: Connection, memory: StateMemory, providers: Iterable[str], now: datetime) -> None:
        self._connection = connection
        self._memory = memory
        self._now = now
        self._seconds = now.timestamp()
        stored = _SOME.rows(connection, b_providers=sorted(providers))
        self._states = {name: memory.state(name, text) for name, text in stored}
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
        rows = [
            {
                "provider": name,
                "state": self._memory.text(name, self._states[name]),
                "changed_at_ms": to_ms(self._now),
            }
            for name in sorted(self._changed)
        ]
        replacement(provider_states, ("provider",), ("state", "changed_at_ms")).run(self._connection, rows)


class SqlStandings:
    """``ports.Standings`` on the operational store: read at most once a second.

    A demoted provider that nobody has tried for a while is shown as itself once: whoever asks then makes the probe that
    may bring it back.
    """

    def __init__(self, ops: Database, clock: Clock, policies: Policies) -> None:
        self._ops = ops
        self._clock = clock
        self._policies = policies
        self._memory = StateMemory()
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
            stored = _ALL.rows(connection)
        found = {
            name: standing(self._memory.state(name, text), self._policies.of(name), seconds) for name, text in stored
        }
        self._standings = {name: _shown(item, demoted=item.demoted) for name, item in found.items()}
        self._probing = None
        if any(item.probe_due for item in found.values()):
            self._probing = {
                name: _shown(item, demoted=item.demoted and not item.probe_due) for name, item in found.items()
            }


_FRESH = ProviderState()
_STORED = select(provider_states.c.provider, cast(provider_states.c.state, Text))
_ALL = Query(_STORED)
_SOME = Query(_STORED.where(provider_states.c.provider.in_(bindparam("b_providers", expanding=True))))


def _shown(found: Standing, *, demoted: bool) -> ProviderStanding:
    return ProviderStanding(
        open=found.breaker == "open",
        demoted=demoted,
        p50_ms={purpose: p50 for purpose, (p50, _) in found.latency_ms.items()},
        p95_ms={purpose: p95 for purpose, (_, p95) in found.latency_ms.items()},
    )
