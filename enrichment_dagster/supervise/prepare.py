"""Creates or upgrades all stores: ``python -m enrichment_dagster.supervise.prepare``, before any process opens them."""

from __future__ import annotations

from dagster import DagsterInstance

from enrichment_dagster.composition import open_stores
from enrichment_dagster.settings import load_settings


def main() -> None:
    """Open each store once."""
    open_stores(load_settings()).close()
    with DagsterInstance.get() as instance:
        instance.get_runs_count()


if __name__ == "__main__":
    main()
