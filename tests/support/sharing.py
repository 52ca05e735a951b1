"""Which tests go together when two processes share the suite, and in which order."""

from __future__ import annotations

import pytest

INSTALLATIONS = "installations"
"""Tests with all processes of the product at work. Two installations at once would starve each other."""


def needs_demo(item: pytest.Item | None) -> bool:
    return "demo" in getattr(item, "fixturenames", ())


def group_of(item: pytest.Item) -> str:
    """A file's tests share what its fixtures set up."""
    at_work = item.path.parent.name == "faults" and item.get_closest_marker("stack") is not None
    return INSTALLATIONS if at_work or needs_demo(item) else str(item.path)


def mark(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.xdist_group(group_of(item)))


def arrange(items: list[pytest.Item]) -> None:
    """The group that takes longest begins at once; in it the demo's tests are together, so that it can end early."""
    items.sort(key=lambda item: (group_of(item) != INSTALLATIONS, needs_demo(item)))
