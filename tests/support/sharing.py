"""Which tests go together when two processes share the suite, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

INSTALLATIONS = "installations"
"""Tests with all processes of the product at work. Two installations at once would starve each other."""

_FOLDERS = ("tests/faults/", "tests/docs/", "tests/e2e/")


class Groups(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each process whole files, and all installations to the same one.

    ``--dist loadgroup`` would do, but it has no effect with pytest 9.2: it changes names of tests that are final there.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """A file's tests share what its fixtures set up."""
    return INSTALLATIONS if nodeid.startswith(_FOLDERS) else nodeid.partition("::")[0]


def needs_demo(item: pytest.Item | None) -> bool:
    return "demo" in getattr(item, "fixturenames", ())


def arrange(items: list[Any]) -> None:
    """The group that takes longest begins at once; in it the demo's tests are together, so that it can end early."""
    items.sort(key=lambda item: (group_of(item.nodeid) != INSTALLATIONS, needs_demo(item)))
