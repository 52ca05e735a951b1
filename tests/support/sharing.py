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
    """The group that takes longest begins at once, with the demo; that ends early, and other installations follow.

    What has to wait for something of the demo comes after tests that need no installation: they fill the time.
    """
    items.sort(key=_turn)


def _turn(item: Any) -> int:
    if group_of(item.nodeid) != INSTALLATIONS:
        return 4
    if needs_demo(item):
        return 2 if item.get_closest_marker("patient") else 0
    return 3 if item.get_closest_marker("stack") else 1


def last_with_demo(items: list[Any]) -> pytest.Item | None:
    """Return the test after which nobody needs the demo any more."""
    return next((item for item in reversed(items) if needs_demo(item)), None)
