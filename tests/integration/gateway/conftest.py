"""The gateway with a journal in memory (in process) and with a real one (over sockets)."""

import pytest
import structlog
from sqlalchemy import delete, select
from support.empty_stores import put_empty_stores
from support.enrich import running_api
from support.gateway import serve_in_thread
from support.intake import FixedClock, MemoryJournal, flow_sender, hubspot_sender

from enrichment_dagster.composition import open_stores
from enrichment_dagster.gateway.app import create_app
from enrichment_dagster.gateway.deps import GatewayDeps, Limits
from enrichment_dagster.settings import load_settings
from enrichment_dagster.store.journal import SqlJournal
from enrichment_dagster.store.migrate import open_journal_database
from enrichment_dagster.store.tables import api_callbacks, api_requests, journal, work

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
    put_empty_stores(tmp_path / "home")
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


@pytest.fixture(scope="module")
def api_stores(tmp_path_factory):
    """The stores of the API's tests, opened once."""
    home = tmp_path_factory.mktemp("api") / "home"
    put_empty_stores(home)
    stores = open_stores(load_settings({"ENRICHMENT_HOME": str(home)}))
    yield stores
    stores.close()


@pytest.fixture(scope="module")
def api_journal(api_stores):
    journal = SqlJournal(api_stores.journal)
    yield journal
    journal.close()


@pytest.fixture(scope="module")
def running(api_stores, api_journal):
    with running_api(api_stores, api_journal) as api:
        yield api


@pytest.fixture
def api(running, api_stores):
    """The API over sockets, with empty stores and a lane that answers."""
    for store, tables in ((api_stores.journal, [journal]), (api_stores.ops, [api_requests, api_callbacks, work])):
        with store.write() as connection:
            for table in tables:
                connection.execute(delete(table))
    running.lane.asked.clear()
    running.lane.failure = running.lane.gate = None
    running.lane.finished = 0
    return running


@pytest.fixture
def rows(api_stores):
    """Return a function that reads all rows of a table."""

    def read(table):
        place = api_stores.journal if table is journal else api_stores.ops
        with place.read() as connection:
            return [dict(row) for row in connection.execute(select(table)).mappings()]

    return read


@pytest.fixture(autouse=True)
def captured_logs():
    """What was logged, as dicts; nothing is printed."""
    with structlog.testing.capture_logs() as entries:
        yield entries
