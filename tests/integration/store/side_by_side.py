"""What several processes do to one store at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# The migrations' own tools, which each process would load first.
import alembic.command
import alembic.config
import alembic.script  # noqa: F401
from support.rig import Rig

from enrichment_dagster.ports import AttemptKey
from enrichment_dagster.settings import load_settings
from enrichment_dagster.store.ledger import Policies
from enrichment_dagster.store.migrate import open_journal_database, open_ops_database


def ask(job: Mapping[str, Any], wait: Callable[[], None]) -> list[str]:
    """Ask for all ``subjects`` whether they may be called about; returns the names of the answers' types."""

    async def ask_all() -> list[str]:
        place = job["place"]
        rig = Rig(place if "://" in place else Path(place), policies=Policies(budgets=job.get("budgets", {})))
        wait()
        keys = [AttemptKey("apollo", "person", subject) for subject in job["subjects"]]
        found = await asyncio.gather(*(rig.begin(key, f"evt_{key.subject_key}") for key in keys))
        rig.close()
        return [type(item).__name__ for item in found]

    return asyncio.run(ask_all())


def open_stores(environment: Mapping[str, str], wait: Callable[[], None]) -> None:
    settings = load_settings(environment)
    wait()
    open_journal_database(settings).dispose()
    open_ops_database(settings).dispose()
