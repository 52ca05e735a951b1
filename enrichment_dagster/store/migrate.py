"""Schema versions: every process opens its databases here, the first one creates or upgrades them.

Alembic does the work; it is imported only when there is work, because every run and every tick comes through here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from sqlalchemy import func, inspect, select, text

from enrichment_dagster.errors import StoreError
from enrichment_dagster.settings import Settings
from enrichment_dagster.store.database import Database, open_postgres, open_sqlite

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_SECONDS = 30.0
_LOCK_KEY = 7_310_002  # any constant: names migrations among Postgres' advisory locks


@dataclass(frozen=True, slots=True)
class Schema:
    """One of the two schemas; on Postgres both live in one database, each with its own version table."""

    name: str
    head: str  # the newest revision in migrations/<name>/versions; a test keeps it true

    @property
    def version_table(self) -> str:
        """Return the table that holds the schema's version."""
        return f"schema_version_{self.name}"


JOURNAL = Schema("journal", "0002")
OPS = Schema("ops", "0006")


def open_journal_database(settings: Settings) -> Database:
    """Open the journal's database at its newest schema."""
    return _open(settings, JOURNAL, settings.journal_path)


def open_ops_database(settings: Settings) -> Database:
    """Open the database of work, attempts, results and outbox at its newest schema."""
    return _open(settings, OPS, settings.ops_path)


def _open(settings: Settings, schema: Schema, path: Path) -> Database:
    database = open_postgres(settings.store_url) if settings.store_url else open_sqlite(path)
    try:
        if _version(database, schema) != schema.head:
            settings.home.mkdir(parents=True, exist_ok=True)
            # Processes that start together must not both create tables.
            with FileLock(settings.home / "migrate.lock", timeout=_LOCK_SECONDS):
                upgrade(database, schema)
    except BaseException:
        database.dispose()
        raise
    return database


def _version(database: Database, schema: Schema) -> str | None:
    with database.read() as connection:
        if not inspect(connection).has_table(schema.version_table):
            return None
        found = connection.execute(text(f"SELECT version_num FROM {schema.version_table}")).scalar()  # noqa: S608
        return None if found is None else str(found)


def upgrade(database: Database, schema: Schema) -> None:
    """Bring a database to the newest schema; does nothing where it is there already.

    Raises:
        StoreError: the database was written by a newer version of the product.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS / schema.name))
    found = _version(database, schema)
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"the {schema.name} store has schema {found}, newer than this version knows: upgrade the product"
        )
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            # Other machines share this database but not the file lock.
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK_KEY)))
        config.attributes["connection"] = connection
        config.attributes["version_table"] = schema.version_table
        command.upgrade(config, "head")
