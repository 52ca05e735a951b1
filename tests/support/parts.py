"""System parts (Postgres, a browser) that a machine may lack: the test is skipped with the reason, or must fail."""

from __future__ import annotations

import os

import pytest

REQUIRE_VARIABLE = "ENRICHMENT_REQUIRE_SYSTEM_PARTS"
SYSTEM_MARKERS = frozenset({"postgres", "browser", "stack"})


def require(found: object, reason: str) -> None:
    """Skip where a part is missing, or fail where the machine is supposed to have all of them."""
    if found:
        return
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(f"{reason} ({REQUIRE_VARIABLE}=1)")
    pytest.skip(reason)
