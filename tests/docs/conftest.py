"""What guides speak to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.real_gateway import RealGateway, running_gateway


@pytest.fixture(scope="module")
def real_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("guides") / "home") as gateway:
        yield gateway
