"""The pump: every journal row becomes work exactly once, whoever pumps."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest
from sqlalchemy.exc import SQLAlchemyError
from support.builders import an_event
from support.rig import LANE

from enrichment_dagster.store import pump as pump_module
from enrichment_dagster.store.journal import _append
from enrichment_dagster.store.rows import WATERMARK
from enrichment_dagster.store.tables import counters, journal, work


async def test_events_become_due_work_once(rig):
    events = await rig.receive(1, 2, 3)
    assert rig.dispatch.backlog() == 3
    assert rig.dispatch.pump() == 3
    assert rig.dispatch.pump() == 0
    assert rig.dispatch.backlog() == 0
    assert {row["work_id"] for row in rig.rows(work)} == {event.event_id for event in events}
    assert rig.states() == {"due": 3}


async def test_a_backlog_larger_than_a_step_is_copied_whole(rig, monkeypatch):
    monkeypatch.setattr(pump_module, "_PUMP_ROWS", 7)
    await rig.receive(*range(20))
    with rig.ops.write() as connection:
        assert pump_module.pump_into(connection, rig.journal_database, rig.clock.now(), {}) == 7, "one step"
    assert rig.dispatch.backlog() == 13
    assert rig.dispatch.pump() == 13
    assert rig.states() == {"due": 20}


async def test_racing_pumps_copy_each_event_once(rig, other):
    """Gateway, ticks and runs all pump."""
    await rig.receive(*range(400))
    counts, barrier = [], threading.Barrier(6)

    def pump(dispatch):
        barrier.wait()
        counts.append(dispatch.pump())

    threads = [threading.Thread(target=pump, args=(one.dispatch,)) for one in (rig, other) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 400
    assert rig.states() == {"due": 400}


async def test_the_watermark_moves_with_the_rows_or_not_at_all(rig, monkeypatch):
    await rig.receive(1)
    monkeypatch.setattr(pump_module, "_work_row", lambda *_: {"work_id": None})
    with pytest.raises(SQLAlchemyError):
        rig.dispatch.pump()
    assert rig.rows(counters, counters.c.name == WATERMARK)[0]["n"] == 0
    monkeypatch.undo()
    assert rig.dispatch.pump() == 1


async def test_an_event_that_was_skipped_at_the_door_is_recorded_as_done(rig):
    await rig.due(1, skip_reason="not_wanted")
    (row,) = rig.rows(work)
    assert (row["state"], row["outcome"], row["reason"]) == ("done", "skipped", "not_wanted")
    assert row["finished_at_ms"] is not None
    assert rig.assign() is None


async def test_an_event_that_the_gateway_answers_itself_is_due_only_after_its_reservation(rig):
    await rig.due(1, reserved_until=rig.clock.now() + timedelta(seconds=5))
    assert rig.assign() is None
    rig.clock.advance(5)
    assert rig.assign() is not None


async def test_the_day_of_an_event_is_the_utc_day_of_its_receipt(rig):
    rig.clock.advance(12 * 3_600 - 1)
    await rig.due(1)
    rig.clock.advance(1)
    await rig.due(2)
    assert {row["day"] for row in rig.rows(work)} == {"2026-09-21", "2026-09-22"}


async def test_journal_positions_become_visible_in_order(rig, other):
    """The pump reads past a watermark: a position that appears behind it would be lost for good.

    So while one writer has taken a position and not committed, no other one can get ahead of it.
    """
    with rig.journal_database.write() as connection:
        _append(connection, [[an_event(1)]])
        overtaking = asyncio.create_task(other.journal.append([an_event(2)]))
        await asyncio.wait({overtaking}, timeout=0.3)
        assert not overtaking.done()
        assert other.rows(journal) == []
    assert await overtaking == [True]
    assert [row["subject_id"] for row in sorted(rig.rows(journal), key=lambda row: row["seq"])] == ["1", "2"]


async def test_groups_are_by_day_and_by_crashes(rig):
    await rig.due(1, 2)
    rig.clock.advance(24 * 3_600)
    await rig.due(3)
    groups = {(group.day, group.max_size): group.count for group in rig.dispatch.due_groups(LANE, 500)}
    assert groups == {("2026-09-21", 500): 2, ("2026-09-22", 500): 1}
