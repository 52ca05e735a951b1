"""Any order of receiving, working, crashing and delivering: the account holds at every step and all comes to an end."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from support.builders import an_enrichment, an_entry
from support.empty_stores import put_empty_stores
from support.rig import Rig

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.errors import LeaseLost
from enrichment_dagster.ports import Deferral, DeliveryRetry, FollowUp
from enrichment_dagster.store.tables import crm_writes, outbox, work

numbers = st.integers(1, 40)


class Store(RuleBasedStateMachine):
    home: Path  # where each store gets a folder

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=self.home))
        put_empty_stores(self.folder)
        self.loop = asyncio.Runner()
        self.rig = Rig(self.folder)
        self.received: set[int] = set()
        self.batches: list = []
        self.leases: list = []
        self.final: dict[str, str] = {}
        self.claims: dict[str, float] = {}
        self.lives = 0

    def wait(self, coroutine):
        return self.loop.run(coroutine)

    @rule(chosen=st.lists(numbers, min_size=1, max_size=4), skipped=st.booleans(), record=st.sampled_from("ab"))
    def receive(self, chosen, skipped, record):
        """Few records, so that writes to one of them queue up."""
        subject = RecordRef("hubspot", "contact", record)
        self.wait(self.rig.receive(*chosen, subject=subject, skip_reason="not_wanted" if skipped else ""))
        self.received |= set(chosen)

    @rule(size=st.sampled_from([1, 500]), starts=st.booleans())
    def tick(self, size, starts):
        self.rig.dispatch.pump()
        if batch := self.rig.assign(size):
            self.batches.append(batch)
            if starts:
                self.start(batch)

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), seconds=st.sampled_from([0, 31]))
    def another_run_tries_to_take_it(self, data, seconds):
        self.rig.clock.advance(seconds)
        self.start(data.draw(st.sampled_from(self.batches[-2:])))

    def start(self, batch):
        self.lives += 1
        if lease := self.rig.work.lease(batch.batch_id, f"run-{self.lives}"):
            self.leases.append(lease)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), defers=st.booleans(), follows=st.booleans())
    def conclude_some(self, data, defers, follows):
        """By any run that ever had a lease, also one that lost it long ago."""
        lease, now = data.draw(st.sampled_from(self.leases[-3:])), self.rig.clock.now()
        items = self.rig.work.open_items(lease.batch_id)
        some = items[data.draw(st.integers(0, 1)) :]
        follow_up = FollowUp(now, 1) if follows else None
        found = [an_enrichment(item, Outcome.PARTIAL, outbox=an_entry(item), follow_up=follow_up) for item in some]
        deferrals = [Deferral(item, "crm_down", now) for item in items if item not in some] if defers else []
        newest = max((other for other in self.leases if other.batch_id == lease.batch_id), key=lambda one: one.token)
        try:
            self.wait(self.rig.work.conclude(lease, found, deferrals, now))
        except LeaseLost:
            return
        assert lease.token == newest.token, "a run that lost its batch stored something"

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def crash(self, data):
        self.rig.dispatch.release([data.draw(st.sampled_from(self.batches)).batch_id])

    @rule(seconds=st.sampled_from([1, 61]))
    def time_passes(self, seconds):
        self.rig.clock.advance(seconds)

    @rule(limit=st.sampled_from([1, 9]), fate=st.sampled_from(["written", "rejected", "retry", "dies"]))
    def deliver(self, limit, fate):
        entries = self.wait(self.rig.claim(limit=limit))
        now = self.rig.clock.monotonic()
        assert len({entry.ref for entry in entries}) == len(entries)
        for entry in entries:
            assert self.claims.get(entry.ref.key, 0) < now, "two deliverers at one record"
            self.claims[entry.ref.key] = now + 60 if fate == "dies" else 0
            if fate == "retry":
                retry = DeliveryRetry(entry, "locked", self.rig.clock.now())
                self.wait(self.rig.work.record_deliveries("run-1", [], [retry]))
            elif fate != "dies":
                self.wait(self.rig.delivered(entry, fate))

    @invariant()
    def the_account_holds(self):
        balance = self.rig.health.balance()
        assert balance.holds
        assert balance.received == len(self.received)

    @invariant()
    def a_final_outcome_never_changes(self):
        for row in self.rig.rows(work, work.c.state == "done"):
            assert self.final.setdefault(row["work_id"], row["outcome"]) == row["outcome"]

    def teardown(self):
        try:
            self.everything_ends()
        finally:
            self.rig.close()
            self.loop.close()
            shutil.rmtree(self.folder)

    def everything_ends(self):
        """Workers that work bring all of it to an end, whatever was left lying about."""
        rig = self.rig
        for _ in range(60):
            rig.clock.advance(61)
            rig.dispatch.pump()
            rig.dispatch.release([batch.batch_id for batch in self.batches])
            self.batches = [batch for batch in [rig.assign()] if batch]
            if not self.batches and not rig.dispatch.backlog():
                break
            for batch in self.batches:
                self.wait(rig.conclude(rig.start(batch, f"end-{rig.clock.monotonic()}")))
        while entries := self.wait(rig.claim()):
            for entry in entries:
                self.wait(rig.delivered(entry))
        assert rig.health.balance().in_flight == 0
        assert set(rig.states()) <= {"done"}
        assert {row["state"] for row in rig.rows(outbox)} <= {"done", "rejected"}
        assert len(rig.rows(crm_writes)) == len(rig.rows(outbox))


@pytest.mark.timeout(120)
def test_the_account_holds_and_everything_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(Store, "home", tmp_path, raising=False)
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Store, settings=settings(max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=checks)
    )
