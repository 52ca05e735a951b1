"""The gateway with a journal in memory (in process) and with a real one (over sockets)."""

import pytest
import structlog
from support.gateway import serve_in_thread
from support.intake import FixedClock, MemoryJournal, flow_sender, hubspot_sender

from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import GatewayDeps, Limits
from enrichment_dagster.settings import load_settings
from enrichment_dagster.store.journal import SqlJournal
from enrichment_dagster.store.migrate import open_journal_database

MAX_BODY = 20_000


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
def memory_journal():
    return MemoryJournal()


@pytest.fixture
def deps(memory_journal, clock):
    return GatewayDeps([hubspot_sender(), flow_sender()], memory_journal, clock, Limits(max_body_bytes=MAX_BODY))


@pytest.fixture
def app(deps):
    """In process, with a journal that can be made to fail."""
    return create_app(deps)


@pytest.fixture
def settings(tmp_path):
    return load_settings({"ENRICHMENT_HOME": str(tmp_path / "home")})


@pytest.fixture
def database(settings):
    database = open_journal_database(settings)
    yield database
    database.dispose()


@pytest.fixture
def sql_journal(database):
    journal = SqlJournal(database)
    yield journal
    journal.close()


@pytest.fixture
def client(sql_journal, clock):
    """Over sockets, with a real journal; half a second is all that a body may take."""
    limits = Limits(max_body_bytes=MAX_BODY, body_seconds=0.5)
    with serve_in_thread(create_app(GatewayDeps([hubspot_sender(), flow_sender()], sql_journal, clock, limits))) as c:
        yield c


@pytest.fixture
def stored(database):
    """Return a function that reads the record ids of all stored events, in order."""
    from sqlalchemy import select

    from enrichment_dagster.store.tables import journal

    def read():
        with database.read() as connection:
            return list(connection.execute(select(journal.c.subject_id).order_by(journal.c.seq)).scalars())

    return read


@pytest.fixture
def kept(database):
    """Return a function that reads reason and body of everything that was kept."""
    from sqlalchemy import select

    from enrichment_dagster.store.tables import kept_bodies

    def read():
        with database.read() as connection:
            rows = connection.execute(select(kept_bodies.c.reason, kept_bodies.c.body).order_by(kept_bodies.c.body_id))
            return [(row.reason, row.body) for row in rows]

    return read


@pytest.fixture(autouse=True)
def captured_logs():
    """What was logged, as dicts; nothing is printed."""
    with structlog.testing.capture_logs() as entries:
        yield entries
