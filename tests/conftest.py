"""What all tests share: a scrubbed environment, settings, Postgres, and the rule about missing system parts.

Makes ``tests/support`` importable as ``support``: pytest puts the folder of this file on the path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from support.demo import Demo, running_demo
from support.environment import SANDBOX_KEYS, SMALL_CONFIG, scrub
from support.parts import REQUIRE_VARIABLE, SYSTEM_MARKERS
from support.postgres import fresh_database, server_url
from support.sharing import Groups, arrange, last_with_demo

from enrichment_dagster.settings import Settings, load_settings

_missing: list[str] = []
_DEMO = pytest.StashKey[ExitStack]()
_LAST_WITH_DEMO = pytest.StashKey[pytest.Item | None]()


def pytest_configure() -> None:
    """Nothing of the developer's own installation may reach a test."""
    scrub(os.environ)
    # Images set it. Without byte code each of the many processes that tests start compiles the product anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(home))
        yield


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    return Groups(config, log)


@pytest.hookimpl(trylast=True)  # after they were shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    arrange(items)
    if items:
        items[0].config.stash[_LAST_WITH_DEMO] = last_with_demo(items)


# --- a test that is skipped for want of a system part fails the session where all parts are promised -----------------


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and SYSTEM_MARKERS & set(report.keywords):
        _missing.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _missing and os.environ.get(REQUIRE_VARIABLE) == "1":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _missing and os.environ.get(REQUIRE_VARIABLE) == "1":
        terminalreporter.section("system parts are missing", red=True)
        for nodeid in _missing:
            terminalreporter.line(f"{nodeid} was skipped, and {REQUIRE_VARIABLE}=1 forbids it")


# --- settings and stores --------------------------------------------------------------------------------------------


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Settings on a small configuration: ``make_settings(config=..., ENRICHMENT_STORE_URL=...)``."""

    def make(config: str = SMALL_CONFIG, **environment: str) -> Settings:
        path = tmp_path / f"enrichment-{uuid4().hex[:6]}.yaml"
        path.write_text(config, encoding="utf-8")
        places = {"ENRICHMENT_CONFIG": str(path), "ENRICHMENT_HOME": str(tmp_path / "home")}
        return load_settings({**SANDBOX_KEYS, **places, **environment})

    return make


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres server: the one that ENRICHMENT_TEST_POSTGRES_URL names, or a throw-away cluster."""
    with server_url(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(scope="session")
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One running demo for all tests that look at the whole."""
    stack = request.config.stash[_DEMO] = ExitStack()
    request.config.add_cleanup(stack.close)  # where the session ends before its last test
    return stack.enter_context(running_demo(tmp_path_factory.mktemp("demo") / "home"))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """It ends with the last of them: the tests that follow need the processors."""
    if _DEMO in item.config.stash and item is item.config.stash[_LAST_WITH_DEMO]:
        item.config.stash[_DEMO].close()


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """An empty database of the test's own."""
    with fresh_database(postgres_url) as url:
        yield url
