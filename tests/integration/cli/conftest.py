from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.story import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    found = Installation(tmp_path / "home")
    yield found
    found.close()
