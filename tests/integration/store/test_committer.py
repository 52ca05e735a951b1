"""Group commit: whoever asks at about the same time shares a transaction, and one bad request costs only itself."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from enrichment_dagster.errors import StoreError
from enrichment_dagster.store.committer import GroupCommitter
from enrichment_dagster.store.prepared import insertion
from enrichment_dagster.store.tables import beats


@pytest.fixture
def committer(rig):
    committer = GroupCommitter(rig.ops, "test")
    yield committer
    committer.close()


class Notes:
    """A handler that stores names, by the driver or by SQLAlchemy, and knows what came together."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []

    def __call__(self, connection, names):
        self.groups.append(list(names))
        rows = [{"name": name, "at_ms": 1, "detail": {}} for name in names]
        insertion(beats).run(connection, rows[::2])
        for row in rows[1::2]:
            connection.execute(beats.insert(), row)
        if "bad" in names:
            raise ValueError("bad")
        return names


def stored(rig):
    with rig.ops.read() as connection:
        return sorted(connection.execute(select(beats.c.name)).scalars())


async def test_what_is_asked_in_one_round_of_the_loop_is_one_transaction(committer, rig):
    handler, names = Notes(), [f"n{number}" for number in range(20)]
    assert await asyncio.gather(*(committer.submit(handler, name) for name in names)) == names
    assert len(handler.groups) <= 2, "the thread may have begun with the first one"
    assert stored(rig) == sorted(names)


async def test_the_patient_wait_a_moment_for_others(committer):
    handler = Notes()

    async def later(name, rounds):
        for _ in range(rounds):
            await asyncio.sleep(0)
        return await committer.submit(handler, name, patient=True)

    await asyncio.gather(*(later(f"n{number}", number) for number in range(5)))
    assert len(handler.groups) <= 2


async def test_one_bad_request_fails_alone_and_the_next_ones_are_stored(committer, rig):
    handler = Notes()
    names = ("a", "bad", "b")
    found = await asyncio.gather(*(committer.submit(handler, name) for name in names), return_exceptions=True)
    assert [type(item) for item in found] == [str, ValueError, str]
    assert await committer.submit(handler, "c") == "c"
    assert stored(rig) == ["a", "b", "c"]


async def test_what_was_asked_before_the_end_is_done_and_what_comes_after_it_is_refused(rig):
    committer, handler = GroupCommitter(rig.ops, "test"), Notes()
    asked = asyncio.ensure_future(committer.submit(handler, "a", patient=True))
    await asyncio.sleep(0)
    committer.close()
    assert await asked == "a"
    with pytest.raises(StoreError):
        await committer.submit(handler, "b")
    committer.close()
