"""Is the product installed as it should be: Python, packages, DuckDB's extensions, byte code."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from enrichment_dagster.cli.doctor.finding import Finding, fail, ok, warn
from enrichment_dagster.errors import StoreError

_PACKAGE = "enrichment-dagster"
_NAMED = ("dagster", "duckdb", "polars")
_OLDEST_PYTHON = (3, 11)


def check_installation() -> Iterator[Finding]:
    """Check Python, the packages, the extensions and byte code."""
    yield check_python(sys.version_info[:2])
    yield from check_packages()
    yield check_extensions()
    yield check_byte_code()


def check_python(found: tuple[int, ...]) -> Finding:
    """Check Python's version."""
    text = platform.python_version()
    if found < _OLDEST_PYTHON:
        return fail("python", text, "use Python 3.11 or newer")
    return ok("python", text)


def check_packages() -> Iterator[Finding]:
    """Compare every installed package with what this release asks for."""
    needed = [Requirement(text) for text in requires(_PACKAGE) or ()]
    wrong = 0
    for need in needed:
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        finding = _package(need)
        if finding is not None:
            wrong += 1
            yield finding
    if not wrong:
        yield ok("packages", ", ".join(f"{name} {version(name)}" for name in _NAMED))


def _package(need: Requirement) -> Finding | None:
    wanted = f"{need.name}{need.specifier}"
    todo = f'pip install "{wanted}"'
    try:
        found = version(need.name)
    except PackageNotFoundError:
        return fail("packages", f"{need.name} is not installed", todo)
    if need.specifier.contains(found, prereleases=True):
        return None
    return fail("packages", f"{need.name} {found} is installed, {wanted} is needed", todo)


def check_extensions() -> Finding:
    """Load what the warehouse needs into DuckDB."""
    try:
        from enrichment_dagster.store.warehouse_query import check_engine

        return ok("duckdb extensions", f"DuckDB {check_engine()} loads ducklake and sqlite_scanner")
    except (StoreError, ImportError) as error:
        return fail("duckdb extensions", str(error), "install the wheels of exactly this DuckDB's version")


def check_byte_code() -> Finding:
    """Check that Python may keep compiled modules: without them each run compiles all of Dagster again.

    ``enrichment up`` has its processes keep them whatever its own environment says.
    """
    if not sys.dont_write_bytecode:
        return ok("byte code", "is written")
    variable = "PYTHONDONTWRITEBYTECODE"
    todo = f"unset {variable}" if os.environ.get(variable) else "start Python without -B"
    return warn("byte code", "is not written: a run without `enrichment up` takes twice as long to start", todo)
