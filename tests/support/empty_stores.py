"""Empty stores of the newest schema: the migrations make them once in a process, every test gets a copy."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from enrichment_dagster.settings import load_settings
from enrichment_dagster.store.migrate import open_journal_database, open_ops_database


def put_empty_stores(home: Path) -> None:
    """Give an installation its SQLite files; what it has stays as it is."""
    home.mkdir(parents=True, exist_ok=True)
    for name, content in _made().items():
        if not (home / name).exists():
            (home / name).write_bytes(content)


@cache
def _made() -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        settings = load_settings({"ENRICHMENT_HOME": folder})
        open_journal_database(settings).dispose()
        open_ops_database(settings).dispose()
        return {path.name: path.read_bytes() for path in (settings.journal_path, settings.ops_path)}
