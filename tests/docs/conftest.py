from __future__ import annotations

import pytest
from support.demo import Demo, demo_tests_last, shared_demo


@pytest.fixture(scope="session")
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return shared_demo(request.config, tmp_path_factory)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    demo_tests_last(items)
