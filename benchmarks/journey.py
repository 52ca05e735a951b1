"""Following leads from their webhook to the CRM and the warehouse."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import duckdb

from benchmarks.crm import Lead, single_deliveries
from benchmarks.load import Exchange, send
from benchmarks.stack import Installation
from enrichment_dagster.composition import open_warehouse
from enrichment_dagster.errors import StoreError

_CRM_POLL_SECONDS = 0.1
_WAREHOUSE_POLL_SECONDS = 0.25
_STORED = "SELECT subject_system || ':' || subject_id FROM events WHERE state = 'done' AND received_at >= ?"


@dataclass(slots=True)
class Arrivals:
    """When (epoch seconds) each lead was written to its CRM (the emulator's own clock) and seen in the warehouse."""

    in_crm: dict[str, float] = field(default_factory=dict)
    in_warehouse: dict[str, float] = field(default_factory=dict)

    def has(self, lead: Lead) -> bool:
        """Say whether a lead has arrived at both places."""
        return lead.key in self.in_crm and lead.key in self.in_warehouse


class Watcher:
    """Looks at the emulators' write log and, as an analyst would, at the warehouse."""

    def __init__(self, place: Installation) -> None:
        self._place = place
        self._warehouse = open_warehouse(place.settings)
        self._open = ExitStack()
        self._lake: Any = None
        self._since = datetime.now(UTC) - timedelta(seconds=1)
        self._next_query = 0.0
        self.arrivals = Arrivals()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def wait_for(self, leads: Sequence[Lead], seconds: float) -> None:
        """Wait until all have arrived at both places.

        Raises:
            RuntimeError: some have not in that time.
        """
        give_up, missing = time.monotonic() + seconds, list(leads)
        while missing and time.monotonic() < give_up:
            self.look()
            missing = [lead for lead in missing if not self.arrivals.has(lead)]
            time.sleep(_CRM_POLL_SECONDS)
        if missing:
            raise RuntimeError(
                f"{len(missing)} of {len(leads)} leads did not arrive within {seconds:.0f} s; "
                f"see {self._place.home / 'logs'} (--keep keeps it)"
            )

    def look(self) -> None:
        """Note what has arrived; the warehouse is asked four times a second at most."""
        for key, moment in self._place.crms.new_status_writes().items():
            self.arrivals.in_crm.setdefault(key, moment)
        if time.monotonic() >= self._next_query:
            self._next_query = time.monotonic() + _WAREHOUSE_POLL_SECONDS
            keys = self._stored()
            now = time.time()
            for key in keys:
                self.arrivals.in_warehouse.setdefault(key, now)

    def _stored(self) -> list[str]:
        try:
            self._lake = self._lake or self._open.enter_context(self._warehouse.connect_reader())
        except StoreError:  # the first projection creates it
            return []
        try:
            return [key for (key,) in self._lake.execute(_STORED, [self._since]).fetchall()]
        except duckdb.CatalogException:  # it is there, its tables are not yet
            return []


def deliver(place: Installation, leads: Sequence[Lead], due: Sequence[float]) -> list[Exchange]:
    """Announce leads one by one at their times.

    Raises:
        RuntimeError: the gateway refused one.
    """
    sent = send(place.ports.gateway, single_deliveries(leads, place.ports), due)
    if refused := [exchange.status for exchange in sent if not exchange.accepted]:
        raise RuntimeError(f"the gateway refused {len(refused)} of {len(sent)} events: {sorted(set(refused))}")
    return sent


def warm_up(place: Installation, leads: int = 3) -> None:
    """Let leads pass until everything has been used once (byte code, the warehouse's tables, connections)."""
    for lead in place.crms.create(leads):
        with Watcher(place) as watcher:
            deliver(place, [lead], [0.0])
            watcher.wait_for([lead], 90)
        time.sleep(1)
    print("warmed up", flush=True)


def poisson_gaps(count: int, seed: int = 7) -> list[float]:
    """Return random gaps with a mean of one: events do not come by a clock."""
    rng = random.Random(seed)
    return [rng.expovariate(1.0) for _ in range(count)]


def seconds_to(arrived: dict[str, float], leads: Sequence[Lead], sent: Sequence[Exchange]) -> list[float]:
    """Return how long each lead took from the moment at which its webhook was due."""
    return [arrived[lead.key] - exchange.due_at for lead, exchange in zip(leads, sent, strict=True)]
