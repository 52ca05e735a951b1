"""The same tests on SQLite files and on Postgres. The migrations make schemas once; each test gets a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.environment import SANDBOX_KEYS, SMALL_CONFIG
from support.postgres import fresh_database
from support.rig import Rig

from enrichment_dagster.settings import load_settings
from enrichment_dagster.store.migrate import open_journal_database, open_ops_database


def _migrate(home: Path, **environment: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    config = home / "enrichment.yaml"
    config.write_text(SMALL_CONFIG, encoding="utf-8")
    places = {"ENRICHMENT_CONFIG": str(config), "ENRICHMENT_HOME": str(home)}
    settings = load_settings({**SANDBOX_KEYS, **places, **environment})
    open_journal_database(settings).dispose()
    open_ops_database(settings).dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sqlite-template")
    _migrate(home)
    return home


@pytest.fixture(scope="session")
def postgres_template(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as url:
        _migrate(tmp_path_factory.mktemp("postgres-template"), ENRICHMENT_STORE_URL=url)
        yield url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Where an empty store is: a folder or a URL."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        for name in ("journal.db", "ops.db"):
            shutil.copy(template / name, tmp_path / name)
        yield tmp_path
        return
    template = request.getfixturevalue("postgres_template")
    with fresh_database(request.getfixturevalue("postgres_url"), template) as url:
        yield url


@pytest.fixture
def rig(place: Path | str) -> Iterator[Rig]:
    rig = Rig(place)
    yield rig
    rig.close()


@pytest.fixture
def other(rig: Rig) -> Iterator[Rig]:
    """The same store, as a second process sees it."""
    other = rig.another()
    yield other
    other.close()
