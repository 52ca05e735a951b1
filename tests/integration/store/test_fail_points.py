"""A process that dies between any two commits: after the restart nothing is lost and nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from support.builders import an_event
from support.clock import START

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.store.tables import attempts, crm_writes, field_values, journal, outbox, work

pytestmark = pytest.mark.stack

POINTS = [
    "append",
    "pump",
    "assign",
    "lease",
    "begin",
    "fetch",
    "settle",
    "conclude",
    "claim_deliveries",
    "write",
    "record_deliveries",
]


class Lives:
    """The event's way through one process after the other."""

    def __init__(self, server, place, world):
        self.server, self.place, self.world = server, place, world
        self.count = 0

    def live(self, point=""):
        self.count += 1
        job = {"place": str(self.place), "world": str(self.world), "life": self.count, "point": point}
        self.server.stdin.write(json.dumps(job) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    @property
    def seen(self):
        """What vendors and the CRM saw."""
        return json.loads(self.world.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def server():
    program = Path(__file__).parent / "failpoint_process.py"
    process = subprocess.Popen([sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.stdin.close()
    process.wait(timeout=30)
    process.stdout.close()


@pytest.fixture
def lives(server, place, tmp_path):
    return Lives(server, place, tmp_path / "world.json")


def assert_all_is_well(rig, lives, *, calls=1, states=("hit",)):
    found = rig.health.balance()
    assert found.holds
    assert (found.received, found.terminal, found.in_flight, found.dead) == (1, 1, 0, 0)
    assert rig.health.outcomes() == {"enriched": 1}
    assert lives.seen["calls"] == calls
    assert [write["p_title"] for write in lives.seen["writes"]] == ["CTO"]
    assert sorted(row["state"] for row in rig.rows(attempts)) == sorted(states)
    assert [row["state"] for row in rig.rows(outbox)] == ["done"]
    assert len(rig.rows(crm_writes)) == len(rig.rows(journal)) == 1
    assert len(rig.rows(field_values)) == 4


def test_without_a_crash_everything_happens_once(lives, rig):
    assert lives.live() == 0
    assert_all_is_well(rig, lives)


@pytest.mark.parametrize("point", POINTS)
def test_after_a_crash_the_next_process_ends_it_and_a_third_finds_nothing_to_do(lives, rig, point):
    assert lives.live(point) == 137
    assert rig.health.balance().holds
    assert lives.live() == 0
    expected = {
        "begin": {"states": ("unknown", "hit")},  # never sent, but who could know: its cost stays held
        "fetch": {"states": ("unknown", "hit"), "calls": 2},  # the one call that was in flight is bought again
    }
    assert_all_is_well(rig, lives, **expected.get(point, {}))
    crashed_between_write_and_record = point == "write"
    (write,) = rig.rows(crm_writes)
    assert write["status"] == ("already_there" if crashed_between_write_and_record else "written")
    before = rig.health.rev(), lives.seen
    assert lives.live() == 0  # with the sender's redelivery: it never heard of the first one's success
    assert (rig.health.rev(), lives.seen) == before


def test_crashing_at_every_point_in_turn_costs_patience_and_nothing_else(lives, rig):
    """Each life gets one commit further than the one before."""
    for point in POINTS:
        if point not in {"begin", "fetch"}:
            assert lives.live(point) in {0, 137}
        assert rig.health.balance().holds
    assert lives.live() == 0
    assert_all_is_well(rig, lives)


@pytest.mark.parametrize("point", ["write", "record_deliveries"])
def test_what_a_process_wrote_before_it_died_is_known_when_the_crm_reports_it(lives, rig, point):
    """The report may find the write recorded or not; it is never taken for somebody else's change."""
    assert lives.live(point) == 137
    (write,) = lives.seen["writes"]
    (cause,) = rig.rows(work)
    changes = [{"propertyName": name, "propertyValue": value} for name, value in write.items()]
    at = START + timedelta(minutes=2, seconds=2)  # in that life
    events = [
        an_event(n, at=at, occurred_at=at, subject=RecordRef("hubspot", "contact", "1"), attributes=said)
        for n, said in enumerate(changes, start=10)
    ]
    asyncio.run(rig.journal.append(events))
    rig.dispatch.pump()
    found = rig.rows(work, work.c.event_id.in_([event.event_id for event in events]))
    assert len(found) == len(changes) > 1
    assert {(row["state"], row["reason"], row["caused_by"]) for row in found} == {
        ("done", "own_write", cause["event_id"])
    }
    assert lives.live() == 0
    assert (lives.seen["calls"], len(lives.seen["writes"])) == (1, 1)
