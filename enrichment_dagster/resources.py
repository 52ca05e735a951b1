"""Dagster resources: wrappers around what ``composition`` builds, without logic of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

import dagster as dg
import structlog

from enrichment_dagster import composition
from enrichment_dagster.domain.config import EnrichmentConfig
from enrichment_dagster.engine.batch import BatchReport
from enrichment_dagster.engine.delivery import DeliveryReport
from enrichment_dagster.logs import configure_logging
from enrichment_dagster.masking import known_secrets
from enrichment_dagster.settings import Settings, load_settings
from enrichment_dagster.store.dispatch import DispatchStore
from enrichment_dagster.store.health import HealthStore
from enrichment_dagster.store.loops import LoopStore
from enrichment_dagster.store.own_writes import SqlOwnWrites
from enrichment_dagster.store.runs import RunStore

if TYPE_CHECKING:
    from enrichment_dagster.store.maintenance import MaintenanceReport
    from enrichment_dagster.store.projector import ProjectionReport


_BEAT_SECONDS = 10.0

_log = structlog.get_logger(__name__)
_opening = Lock()


def _opened() -> tuple[Settings, composition.Stores]:
    """Return the settings and the store of this process: opened once, however many ticks ask at the same time."""
    with _opening:
        return _open()


@cache
def _open() -> tuple[Settings, composition.Stores]:
    settings = load_settings()
    configure_logging("dagster", False, known_secrets(settings))
    return settings, composition.open_stores(settings)


class EnrichmentResource(dg.ConfigurableResource[None]):
    """The product as Dagster sees it; configured by ``enrichment.yaml`` and the environment."""

    def config(self) -> EnrichmentConfig:
        """Return the configuration."""
        return _opened()[0].config

    def stores(self) -> composition.Stores:
        """Return the operational store of this process."""
        return _opened()[1]

    def dispatch(self) -> DispatchStore:
        """Return the tick's view of the operational store."""
        return _opened()[1].dispatch()

    def health(self) -> HealthStore:
        """Return the checks' view of the operational store."""
        return _opened()[1].health()

    def runs(self) -> RunStore:
        """Return the runs' signs of life."""
        return _opened()[1].runs()

    def loops(self) -> LoopStore:
        """Return the counts of loops."""
        return _opened()[1].loops()

    def own_writes(self) -> SqlOwnWrites:
        """Return what we wrote to CRMs."""
        return _opened()[1].own_writes()

    def enrich(self, event_type: str, *, owner: str, batch_id: str, day: str, refresh: bool) -> BatchReport:
        """Enrich a batch, or (without one) all open events of a day in batches."""
        settings, stores = _opened()
        with signs_of_life(stores.runs(), owner):
            if batch_id:
                return composition.enrich_batch(settings, stores, event_type, batch_id, owner)
            return composition.enrich_day(settings, stores, event_type, day, owner, refresh=refresh)

    def deliver(self, owner: str) -> DeliveryReport:
        """Deliver what is owed to the CRMs."""
        settings, stores = _opened()
        with signs_of_life(stores.runs(), owner):
            return composition.deliver_owed(settings, stores, owner)

    def project(self, owner: str) -> ProjectionReport:
        """Copy what is new into the warehouse."""
        settings, stores = _opened()
        with signs_of_life(stores.runs(), owner):
            return composition.project(settings, stores)

    def maintain(self) -> MaintenanceReport:
        """Tidy the warehouse's files."""
        from enrichment_dagster.store.maintenance import maintain

        return maintain(composition.open_warehouse(_opened()[0]))


@contextmanager
def signs_of_life(runs: RunStore, run_id: str, every_seconds: float = _BEAT_SECONDS) -> Iterator[None]:
    """Note that a run is at work, again and again, until the block ends.

    The last sign stays: whoever finds it old looks up what became of the run (``sensors.lost``).
    """
    over = Event()

    def give() -> None:
        while True:
            try:
                runs.alive(run_id)
            except Exception:  # noqa: BLE001 - a busy store costs a sign of life, not the work
                _log.warning("a sign of life failed", run_id=run_id, exc_info=True)
            if over.wait(every_seconds):
                return

    thread = Thread(target=give, name="signs-of-life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
