"""One supervisor at a time in a home: a second one would point the first one's Dagster at its own code server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from enrichment_dagster.errors import StoreError
from enrichment_dagster.settings import HOME_VARIABLE


@contextmanager
def sole_supervisor(home: Path) -> Iterator[None]:
    """Hold a home inside the block; the system frees it when its holder dies, however that happens.

    Raises:
        StoreError: another process holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "supervisor.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise StoreError(
            f"`enrichment up` or `enrichment demo` runs in {home} already: `enrichment status` shows how it does; "
            f"stop it first, or set {HOME_VARIABLE} to another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()
