"""The writer's lock: projector and maintenance never write the warehouse at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def writer_lock(path: Path, wait_seconds: float = 0.0) -> Iterator[bool]:
    """Hold the lock; yields False where another writer has it. The system frees it when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
