"""DuckDB's extensions, loaded by path from the wheels that carry them: nothing is downloaded at run time."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import duckdb

from enrichment_dagster.errors import StoreError

CATALOG_EXTENSIONS = {"sqlite": "sqlite_scanner", "postgres": "postgres_scanner"}
"""Which extension reads which kind of catalog; both need ``ducklake`` as well."""


@cache
def extension_path(name: str) -> Path:
    """Return the extension's file, built for exactly this DuckDB.

    Raises:
        StoreError: the wheel is not installed, or it is for another DuckDB.
    """
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    wheel = f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
    if spec is None or spec.origin is None:
        raise StoreError(f"DuckDB's extension {name} is not installed: pip install {wheel}")
    folder = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}"
    files = sorted(folder.glob("*.duckdb_extension"))
    if not files:
        raise StoreError(f"DuckDB's extension {name} is for another version than {duckdb.__version__}: install {wheel}")
    return files[0]


def quoted(text: str | Path) -> str:
    """Return the text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def load_sql(catalog_kind: str) -> list[str]:
    """Return the statements that load what a catalog of this kind needs."""
    names = ("ducklake", CATALOG_EXTENSIONS[catalog_kind])
    return [f"LOAD {quoted(extension_path(name))}" for name in names]


def install_sql(catalog_kind: str) -> list[str]:
    """Return the statements that copy the extensions to the user's ``~/.duckdb``, so that the plain CLI finds them."""
    names = ("ducklake", CATALOG_EXTENSIONS[catalog_kind])
    return [f"INSTALL {quoted(extension_path(name))}" for name in names]
