"""Dagster resources: wrappers around what ``composition`` builds, without logic of their own."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import dagster as dg

from enrichment_dagster import composition
from enrichment_dagster.domain.config import EnrichmentConfig
from enrichment_dagster.engine.batch import BatchReport
from enrichment_dagster.engine.delivery import DeliveryReport
from enrichment_dagster.logs import configure_logging
from enrichment_dagster.masking import known_secrets
from enrichment_dagster.settings import Settings, load_settings
from enrichment_dagster.store.dispatch import DispatchStore
from enrichment_dagster.store.health import HealthStore

if TYPE_CHECKING:
    from enrichment_dagster.store.maintenance import MaintenanceReport
    from enrichment_dagster.store.projector import ProjectionReport


@lru_cache(maxsize=1)
def _opened() -> tuple[Settings, composition.Stores]:
    """Read the settings and open the store once per process: the code server answers many ticks."""
    settings = load_settings()
    configure_logging("dagster", False, known_secrets(settings))
    return settings, composition.open_stores(settings)


class EnrichmentResource(dg.ConfigurableResource[None]):
    """The product as Dagster sees it; configured by ``enrichment.yaml`` and the environment."""

    def config(self) -> EnrichmentConfig:
        """Return the configuration."""
        return _opened()[0].config

    def dispatch(self) -> DispatchStore:
        """Return the tick's view of the operational store."""
        return _opened()[1].dispatch()

    def health(self) -> HealthStore:
        """Return the checks' view of the operational store."""
        return _opened()[1].health()

    def enrich(self, event_type: str, *, owner: str, batch_id: str, day: str, refresh: bool) -> BatchReport:
        """Enrich a batch, or (without one) all open events of a day in batches."""
        settings, stores = _opened()
        if batch_id:
            return composition.enrich_batch(settings, stores, event_type, batch_id, owner)
        return composition.enrich_day(settings, stores, event_type, day, owner, refresh=refresh)

    def deliver(self, owner: str) -> DeliveryReport:
        """Deliver what is owed to the CRMs."""
        settings, stores = _opened()
        return composition.deliver_owed(settings, stores, owner)

    def project(self) -> ProjectionReport:
        """Copy what is new into the warehouse."""
        settings, stores = _opened()
        return composition.project(settings, stores)

    def maintain(self) -> MaintenanceReport:
        """Tidy the warehouse's files."""
        from enrichment_dagster.store.maintenance import maintain

        return maintain(composition.open_warehouse(_opened()[0]))
