"""The warehouse's SQL, kept in ``queries/*.sql``."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

_PACKAGE = "enrichment_dagster.store"
_SCHEMA_PREFIX = "warehouse_schema_"


@cache
def sql(name: str) -> str:
    """Return the text of ``queries/<name>.sql``."""
    return (files(_PACKAGE) / "queries" / f"{name}.sql").read_text(encoding="utf-8")


@cache
def schema_versions() -> tuple[tuple[int, str], ...]:
    """Return the numbers and names of the schema files, oldest first."""
    names = (entry.name for entry in (files(_PACKAGE) / "queries").iterdir())
    found = (name.removesuffix(".sql") for name in names if name.startswith(_SCHEMA_PREFIX))
    return tuple(sorted((int(name.removeprefix(_SCHEMA_PREFIX)), name) for name in found))
