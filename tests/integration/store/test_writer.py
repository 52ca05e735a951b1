"""Writers of several processes take turns: each has a connection of its own to the same SQLite file."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from enrichment_dagster.store import database
from enrichment_dagster.store.database import Database, open_sqlite


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Database, Database]:
    first, second = open_sqlite(tmp_path / "x.db"), open_sqlite(tmp_path / "x.db")
    with first.write() as connection:
        connection.execute(text("CREATE TABLE t (name TEXT)"))
    return first, second


def _names(store: Database) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(text("SELECT name FROM t ORDER BY rowid")).scalars())


def test_a_writer_waits_for_the_other_ones_transaction(stores: tuple[Database, Database]) -> None:
    first, second = stores
    asked = threading.Event()

    def write() -> None:
        writer = second.writer()
        asked.set()
        with writer.transaction() as connection:
            connection.execute(text("INSERT INTO t VALUES ('second')"))
        writer.close()

    thread = threading.Thread(target=write)
    with first.writer().transaction() as connection:
        thread.start()
        assert asked.wait(10)
        connection.execute(text("INSERT INTO t VALUES ('first')"))
    thread.join(10)
    assert not thread.is_alive()
    assert _names(first) == ["first", "second"]


def test_a_writer_gives_up_where_the_other_one_never_ends_and_works_again_when_it_has(
    stores: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = stores
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_MS", 5)
    writer = second.writer()
    with first.writer().transaction() as connection:
        connection.execute(text("INSERT INTO t VALUES ('first')"))
        with pytest.raises(OperationalError), writer.transaction():
            pass
    with writer.transaction() as connection:
        connection.execute(text("INSERT INTO t VALUES ('second')"))
    assert _names(second) == ["first", "second"]
    writer.close()


def test_a_connection_that_a_writer_gave_back_waits_as_all_others_do(stores: tuple[Database, Database]) -> None:
    writer = stores[0].writer()
    with writer.transaction():
        pass
    writer.close()
    with stores[0].read() as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == database._BUSY_TIMEOUT_MS
