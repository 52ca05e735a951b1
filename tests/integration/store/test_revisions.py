"""Revisions: who has seen all rows up to one has missed none. The projector relies on nothing else."""

from __future__ import annotations

import asyncio
import threading

from sqlalchemy import select

from enrichment_dagster.store.rows import next_rev
from enrichment_dagster.store.tables import attempts, work


async def test_each_transaction_has_a_newer_revision_than_all_before_it(rig):
    seen = [rig.health.rev()]
    await rig.receive(1)
    for step in (rig.dispatch.pump, rig.assign):
        step()
        seen.append(rig.health.rev())
    assert seen == sorted(set(seen))


async def test_a_transaction_that_fails_leaves_no_gap(rig):
    before = rig.health.rev()
    try:
        with rig.ops.write() as connection:
            next_rev(connection)
            raise RuntimeError
    except RuntimeError:
        pass
    with rig.ops.write() as connection:
        assert next_rev(connection) == before + 1


async def test_rows_become_visible_in_the_order_of_their_revisions(rig, other):
    """A reader that stands at a revision must never find a row with a lower one later on."""
    stop, problems = threading.Event(), []

    def watch():
        known, newest = set(), 0
        while not stop.is_set():
            with rig.ops.read() as connection:
                rows = list(connection.execute(select(attempts.c.attempt_id, attempts.c.rev)))
                rows += list(connection.execute(select(work.c.work_id, work.c.rev)))
            late = [row for row in rows if (row[0], row[1]) not in known and row[1] <= newest]
            problems.extend(late)
            known = {(row[0], row[1]) for row in rows}
            newest = max((row[1] for row in rows), default=0)

    watcher = threading.Thread(target=watch)
    watcher.start()

    async def traffic(one, start):
        for number in range(start, start + 24):
            await one.due(number)
            await one.begin(event_id=f"evt_{number}")
            one.clock.advance(16)

    try:
        await asyncio.gather(traffic(rig, 0), traffic(other, 100))
    finally:
        stop.set()
        watcher.join()
    assert problems == []
